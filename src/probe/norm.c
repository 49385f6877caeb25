/* SPDX-License-Identifier: Apache-2.0
 *
 * norm.c - the norms of the neurons' weight vectors: the radius on which SoftHebb's and Oja's decay hold them.
 */
#include <math.h>

#include "probe/probe.h"

static void measure(const ghl_probe_view *view, double *figures)
{
    figures[0] = figures[1] = 0;
    for (int64_t k = 0; k < view->neurons; k++) {
        double squares = 0;
        for (int64_t i = k * view->fan_in; i < (k + 1) * view->fan_in; i++)
            squares += (double)view->weight[i] * view->weight[i];
        figures[0] += sqrt(squares) / (double)view->neurons;
        figures[1] = sqrt(squares) > figures[1] ? sqrt(squares) : figures[1];
    }
}

const ghl_probe ghl_probe_norm = {
    .name = "norm",
    .summary = "mean and largest norm of the neurons' weights",
    .source = "Journe et al. 2023, eq. 3",
    .figures = {"norm", "norm_most"},
    .measure = measure,
};
