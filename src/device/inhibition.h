/* SPDX-License-Identifier: Apache-2.0
 *
 * inhibition.h - the kernel of lateral (surround) inhibition, 5x5 around a unit, over its value at the unit itself (Nimmo & Mondragon
 * 2025):
 *
 *     D(i,j) = exp(-rho^2 / 2a^2) / (2 pi a^2) - exp(-rho^2 / 2b^2) / (2 pi b^2),  rho^2 = i^2 + j^2,  a = 1.2,  b = 1.4
 */
#ifndef GHL_DEVICE_INHIBITION_H
#define GHL_DEVICE_INHIBITION_H

enum { GHL_INHIBITION_REACH = 2, GHL_INHIBITION_TAPS = 25 };

/* D / D(0,0) by |i| and |j|; the factor 2 pi cancels. */
#define GHL_INHIBITION_00 1.0
#define GHL_INHIBITION_01 0.5178167827100864
#define GHL_INHIBITION_02 (-0.05829708918723424)
#define GHL_INHIBITION_11 0.2196006275555362
#define GHL_INHIBITION_12 (-0.10925943252186016)
#define GHL_INHIBITION_22 (-0.12542801706911103)

static const double ghl_inhibition[3][3] = {
    {GHL_INHIBITION_00, GHL_INHIBITION_01, GHL_INHIBITION_02},
    {GHL_INHIBITION_01, GHL_INHIBITION_11, GHL_INHIBITION_12},
    {GHL_INHIBITION_02, GHL_INHIBITION_12, GHL_INHIBITION_22},
};

static inline double ghl_inhibition_of(int i, int j)
{
    return ghl_inhibition[i < 0 ? -i : i][j < 0 ? -j : j];
}

#endif
