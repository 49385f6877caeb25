/* SPDX-License-Identifier: Apache-2.0
 *
 * agreement.c - how far the local term and the update go along with the gradient (Hua et al. 2026: one bit of it a weight suffices).
 *
 *     sign_agreement = share of weights with -g d > 0, of those where neither is 0: d would move them as descent does; 0.5 is chance
 *     cosine         = <v, g> / (|v| |g|), v the update that the rule hands on
 */
#include <math.h>

#include "probe/probe.h"

static void measure(const ghl_probe_view *view, double *figures)
{
    const int64_t n = view->neurons * view->fan_in;
    double along = 0, counted = 0, vg = 0, vv = 0, gg = 0;
    figures[0] = figures[1] = NAN;
    for (int64_t i = 0; view->gradient != NULL && view->local != NULL && i < n; i++) {
        double product = -(double)view->gradient[i] * view->local[i];
        along += product > 0;
        counted += product != 0;
    }
    for (int64_t i = 0; view->gradient != NULL && view->direction != NULL && i < n; i++) {
        double v = view->direction[i], g = view->gradient[i];
        vg += v * g;
        vv += v * v;
        gg += g * g;
    }
    if (counted > 0)
        figures[0] = along / counted;
    if (vv > 0 && gg > 0)
        figures[1] = vg / sqrt(vv) / sqrt(gg);
}

const ghl_probe ghl_probe_agreement = {
    .name = "agreement",
    .summary = "share of signs and cosine with the gradient, of the local term and of the update",
    .source = "Hua et al. 2026, section 3",
    .figures = {"sign_agreement", "cosine"},
    .measure = measure,
};
