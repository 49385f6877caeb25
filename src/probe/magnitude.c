/* SPDX-License-Identifier: Apache-2.0
 *
 * magnitude.c - how the local term spreads over the weights, which is what GHL adds to signs (Hua et al. 2026, table 5).
 *
 *     h_... = shares of weights whose h = |d| / max|d| lies below 1e-3, from there to 1e-2, to 1e-1, and above
 *     step  = mean |v|: what the rate is multiplied by, over the layer
 */
#include <math.h>

#include "probe/probe.h"

enum { BINS = 4 };

static void measure(const ghl_probe_view *view, double *figures)
{
    static const double edges[BINS - 1] = {1e-3, 1e-2, 1e-1};
    const int64_t n = view->neurons * view->fan_in;
    double largest = 0, sum = 0;
    for (int b = 0; b <= BINS; b++)
        figures[b] = NAN;
    for (int64_t i = 0; view->direction != NULL && i < n; i++)
        sum += fabs((double)view->direction[i]);
    if (view->direction != NULL)
        figures[BINS] = sum / (double)n;
    for (int64_t i = 0; view->local != NULL && i < n; i++)
        largest = fabs((double)view->local[i]) > largest ? fabs((double)view->local[i]) : largest;
    if (!(largest > 0))
        return;
    for (int b = 0; b < BINS; b++)
        figures[b] = 0;
    for (int64_t i = 0; i < n; i++) {
        double h = fabs((double)view->local[i]) / largest;
        int b = 0;
        while (b < BINS - 1 && h >= edges[b])
            b++;
        figures[b] += 1.0 / (double)n;
    }
}

const ghl_probe ghl_probe_magnitude = {
    .name = "magnitude",
    .summary = "histogram of the local term's size, and the mean size of the update",
    .source = "Hua et al. 2026, section 4.3",
    .figures = {"h_below_1e-3", "h_to_1e-2", "h_to_1e-1", "h_to_1", "step"},
    .measure = measure,
};
