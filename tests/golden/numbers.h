/* SPDX-License-Identifier: Apache-2.0
 *
 * Written by numbers.py from numbers.txt, which says what the quantities are. */
#ifndef GHL_TESTS_GOLDEN_NUMBERS_H
#define GHL_TESTS_GOLDEN_NUMBERS_H

static const double g1_x[2] = {1, 2};
static const double g1_w[4] = {1, 0, 0, 1};
static const double g1_t[1] = {1};
static const double g1_g[4] = {0.3, -0.2, -1e-9, 0};
static const double g1_lr[1] = {0.1};
static const double g1_wd[1] = {0.05};
static const double g1_r[2] = {0.26894142, 0.73105858};
static const double g1_d[4] = {0, 0.53788284, 0.73105858, 0};
static const double g1_h[4] = {0, 0.73575888, 1, 0};
static const double g1_w_after[4] = {0.995, 0.073575888, 0.1, 0.995};
static const double g2_x[4] = {1, 2, 2, -1};
static const double g2_w[4] = {1, 0, 0, 1};
static const double g2_t[1] = {0.5};
static const double g2_r[4] = {0.37754067, 0.62245933, 0.81757448, 0.18242552};
static const double g2_d[4] = {0, -0.062493139, 0.98731038, 0};
static const double g2_h[4] = {0, -0.063296345, 1, 0};
static const double g3_image[9] = {1, 0, 2, 0, 1, 0, 3, 0, 1};
static const double g3_w[8] = {1, 0, 0, 1, 0, 1, 1, 0};
static const double g3_t[1] = {1};
static const double g3_padding[1] = {0};
static const double g3_stride[1] = {1};
static const double g3_u[8] = {2, 0, 0, 3, 0, 4, 2, 0};
static const double g3_d[8] = {-1.7615942, 0.11283796, 0.1013845, -1.7615942, 0.23840584, -3.8986155, -2.887162, 0.23840584};
static const double g3_h[8] = {-0.45185122, 0.028943084, 0.026005258, -0.45185122, 0.061151412, -1, -0.74056086, 0.061151412};
static const double g3b_image[9] = {1, 0, 2, 0, 1, 0, 3, 0, 1};
static const double g3b_w[8] = {1, 0, 0, 1, 0, 1, 1, 0};
static const double g3b_t[1] = {1};
static const double g3b_padding[1] = {1};
static const double g3b_stride[1] = {2};
static const double g3b_u[8] = {1, 0, 2, 0, 3, 0, 2, 0};
static const double g3b_d[8] = {-6.2311722, 0, 0, -0.88079708, 0.11920292, 0, 0, 0.76882781};
static const double g3b_h[8] = {-1, 0, 0, -0.14135335, 0.019130096, 0, 0, 0.12338414};
static const double g4_x[4] = {1, 2, -1, 0.5};
static const double g4_w[6] = {0.5, -1, 1, 0.25, 0, 2};
static const double g4_t[1] = {0.5};
static const double g4_g[6] = {0.3, -0.2, -1e-9, 0, 0, 5};
static const double g4_lr[1] = {0.1};
static const double g4_wd[1] = {0.05};
static const double g4_u[6] = {-1.5, 1.5, 4, -1, -0.875, 1};
static const double g4_r[6] = {0.0473388, 0.21215778, 0.74050342, 0.20908358, 0.22256832, 0.5683481};
static const double g4_d[6] = {-0.021698892, -0.080872391, -0.13389993, 0.50472737, 0.17215532, -5.2955427};
static const double g4_h[6] = {-0.004097577, -0.015271785, -0.025285403, 0.095311737, 0.032509476, -1};
static const double g4_w_after[6] = {0.49709024, -0.99347282, 0.99752854, 0.24875, 0, 1.89};
static const double g5_x[2] = {1, 2};
static const double g5_w[4] = {0.5, 1, 1, 0.25};
static const double g5_head[4] = {1, -1, 0.5, 1};
static const double g5_head_bias[2] = {0, 0};
static const double g5_label[1] = {0};
static const double g5_t[1] = {1};
static const double g5_lr[1] = {0.1};
static const double g5_wd[1] = {0.05};
static const double g5_head_lr[1] = {0.01};
static const double g5_u[2] = {2.5, 1.5};
static const double g5_loss[1] = {1.9102242};
static const double g5_g[4] = {-0.4259764, -0.8519528, 1.7039056, 3.4078112};
static const double g5_h[4] = {-0.4181972, -0.83639441, -0.30769231, 1};
static const double g5_w_after[4] = {0.53931972, 1.0786394, 0.96423077, 0.14875};
static const double g5_head_after[4] = {1.0212988, -0.98722071, 0.47870118, 0.98722071};
static const double g5_bias_after[2] = {0.0085195280, -0.0085195280};
static const double n1_w[6] = {0.5, -1, 1, 0.25, 0, 2};
static const double n1_g[6] = {0.3, -0.2, -1e-9, 0, 0, 5};
static const double n1_lr[1] = {0.1};
static const double n1_wd[1] = {0.05};
static const double n1_w_after[6] = {0.3975, -0.895, 1.095, 0.24875, 0, 1.89};

#endif
