/* SPDX-License-Identifier: Apache-2.0
 *
 * cases_conv.c - reads the words in which a choice of kernel names its convolution.
 */
#include "cases_conv.h"

#include <stdio.h>
#include <string.h>

bool ghl_case_of_conv(const char *key, int64_t images, ghl_case *out)
{
    static const struct {
        const char *word;
        ghl_op op;
    } ops[] = {{"forward", GHL_OP_conv},
               {"data", GHL_OP_conv_backward_data},
               {"weights", GHL_OP_conv_backward_weights},
               {"pair", GHL_OP_conv_backward_weights_pair}};
    char word[16] = "", dtype[8] = "";
    long long h, w, c, k;
    int end = 0, rows, columns, stride[2], padding[2];
    if (sscanf(key, "%15s %7s %lldx%lldx%lld->%lld %dx%d/%dx%d+%dx%d%n", word, dtype, &h, &w, &c, &k, &rows, &columns, &stride[0],
               &stride[1], &padding[0], &padding[1], &end) != 12 || key[end] != 0 || stride[0] != stride[1] || padding[0] != padding[1])
        return false;
    *out = (ghl_case){.n = images, .h = h, .w = w, .c = c, .k = k, .rows = rows, .columns = columns, .stride = stride[0],
                      .padding = padding[0], .without = "bias", .half = strcmp(dtype, "bf16") == 0, .note = key};
    for (size_t i = 0; i < sizeof ops / sizeof *ops; i++)
        if (strcmp(word, ops[i].word) == 0) {
            out->op = ops[i].op;
            return out->half || strcmp(dtype, "f32") == 0;
        }
    return false;
}
