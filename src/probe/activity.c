/* SPDX-License-Identifier: Apache-2.0
 *
 * activity.c - who wins: neurons that never do have nothing to learn from under competitive rules.
 *
 *     win_most = share of the batch's columns that the most frequent winner has
 *     dead     = share of neurons that win no column of the batch
 */
#include <math.h>

#include "probe/probe.h"

static void measure(const ghl_probe_view *view, double *figures)
{
    double sum = 0, most = 0, dead = 0;
    figures[0] = figures[1] = NAN;
    for (int64_t k = 0; view->wins != NULL && k < view->neurons; k++) {
        sum += view->wins[k];
        most = view->wins[k] > most ? view->wins[k] : most;
        dead += view->wins[k] == 0;
    }
    if (!(sum > 0))
        return;
    figures[0] = most / sum;
    figures[1] = dead / (double)view->neurons;
}

const ghl_probe ghl_probe_activity = {
    .name = "activity",
    .summary = "how often the most frequent winner wins, and how many neurons never do",
    .source = "Journe et al. 2023; Lagani et al. 2022",
    .figures = {"win_most", "dead"},
    .measure = measure,
};
