/* SPDX-License-Identifier: Apache-2.0
 *
 * conv_choice.c - which way a convolution goes: the one that is recorded for it, else that of the table, else that of the rule. Never a
 * trial at start: the same recipe on the same kind of processor always runs the same arithmetic.
 *
 * Table and rules are made by measurement: bench/ghl_bench_conv prints the figures behind the rules, bench/ghl_choose writes the table,
 * of those shapes where the rules are wrong.
 */
#include <stdio.h>
#include <string.h>

#include "device/cpu/conv_way.h"

const ghl_conv_row ghl_conv_table[] = {
#define GHL_CHOICE(isa, key, way, images, microseconds, rule) {isa, key, way, images, microseconds, rule},
#include "device/cpu/conv_table.def"
#undef GHL_CHOICE
    {.key = NULL},
};

void ghl_conv_key(const ghl_conv_problem *p, bool pair, char key[GHL_CONV_KEY])
{
    static const char *const directions[] = {"forward", "data", "weights"};
    const ghl_window *v = &p->window;
    snprintf(key, GHL_CONV_KEY, "%s %s %lldx%lldx%lld->%lld %dx%d/%dx%d+%dx%d", pair ? "pair" : directions[p->direction],
             p->half ? "bf16" : "f32", (long long)p->x.h, (long long)p->x.w, (long long)p->x.c, (long long)p->y.c, (int)v->kernel[0],
             (int)v->kernel[1], (int)v->stride[0], (int)v->stride[1], (int)v->padding[0], (int)v->padding[1]);
}

const char *ghl_conv_listed(const char *isa, const char *key)
{
    for (const ghl_conv_row *row = ghl_conv_table; row->key != NULL; row++)
        if (strcmp(row->isa, isa) == 0 && strcmp(row->key, key) == 0)
            return row->way;
    return NULL;
}

/* ---- The rules ---- */

/* F(MxM, 3x3) is used from so many channels on both sides and from so large a saving of multiplications on. Of two tiles the larger
 * must save so much more, because it loses a bit or two and its transforms cost more. */
static const struct {
    int64_t channels;
    double saving, larger;
} winograd_from = {32, 1.2, 1.3};

/* Columns are written out for inputs of at most so many channels and outputs of at least so many. */
static const struct {
    int64_t inputs, outputs;
} columns_for = {4, 48};

/* F(4x4, 3x3) of bf16 maps, whose products are f32, against dot products of bf16, twice as many at a time. Forward and backward data need
 * tiles enough to make up for the transforms of the weights. */
static const struct {
    int64_t channels, tiles;
    double saving;
} winograd_half_from = {64, 200, 2.6};

/* A weight gradient on dot products is left to oneDNN from so many times the cycles on that its multiplications alone take. */
static const double in_vain_from = 1.25;

/* Multiplications of the convolution over those of F(tile x tile, 3x3), whose tiles may stand out over the map's edge. Backward data
 * may cut either map. */
static double saving(const ghl_conv_problem *p, int64_t tile)
{
    int64_t of_x = ghl_winograd_tiles(p->x, tile), of_y = ghl_winograd_tiles(p->y, tile);
    int64_t tiles = p->direction == GHL_CONV_BACKWARD_DATA && of_x < of_y ? of_x : of_y;
    return 9.0 * (double)(p->y.n * p->y.h * p->y.w) / (double)((tile + 2) * (tile + 2) * tiles);
}

/* The tile to use, 2 or 4, or 0. */
static int64_t winograd_tile(const ghl_conv_problem *p)
{
    int64_t channels = p->x.c < p->y.c ? p->x.c : p->y.c, tile = saving(p, 4) > saving(p, 2) * winograd_from.larger ? 4 : 2;
    return channels >= winograd_from.channels && saving(p, tile) >= winograd_from.saving ? tile : 0;
}

static bool columns_pay(const ghl_conv_problem *p)
{
    return p->x.c <= columns_for.inputs && p->y.c >= columns_for.outputs;
}

/* Where products take the time, and not the bringing in of tiles: oneDNN leaves out the zeros around a map, but is slow at weight
 * gradients, at linear layers (a new order for many weights), and where it must fill up a block of outputs. Our plan of a weight gradient
 * may compute much in vain too: columns filled up, padding. `products`: multiplications of the convolution; a pair of 16 rows and columns
 * is 512 of them. */
static bool leave_to_onednn(const ghl_conv16 *plan, ghl_conv16_cost cost, const ghl_conv_problem *p)
{
    const double products = (double)(p->y.n * p->y.h * p->y.w * p->y.c) * (double)(p->w.h * p->w.w * p->w.c);
    if (cost.pair == 0 || p->y.c < GHL_CONV16_ROWS || p->y.h * p->y.w == 1)
        return false;
    return p->direction != GHL_CONV_BACKWARD_WEIGHTS || plan->cycles > in_vain_from * products / 512 * cost.pair;
}

static bool winograd_pays_in_half(const ghl_conv_problem *p)
{
    const int64_t channels = p->x.c < p->y.c ? p->x.c : p->y.c;
    ghl_winograd winograd;
    return channels >= winograd_half_from.channels && saving(p, 4) >= winograd_half_from.saving &&
           (p->direction == GHL_CONV_BACKWARD_WEIGHTS || ghl_winograd_tiles(p->y, 4) >= winograd_half_from.tiles) &&
           ghl_winograd_plan(p, 4, &winograd);
}

static const char *rule_of_half(const ghl_cpu_kernels *kernels, const ghl_conv_problem *p)
{
    ghl_conv16 plan;
    if (kernels->conv16 != NULL && kernels->conv16->cost.pair > 0 && winograd_pays_in_half(p))
        return "F(4x4,3x3)";
    if (kernels->conv16 == NULL || !ghl_conv16_plan(p, kernels->conv16->cost, 1, &plan) ||
        leave_to_onednn(&plan, kernels->conv16->cost, p))
        return "onednn";
    const ghl_conv_way *way = ghl_conv_ways;
    while (way->single || way->form != plan.form)
        way++;
    return way->name;
}

const char *ghl_conv_rule(const ghl_cpu_kernels *kernels, const ghl_conv_problem *p)
{
    const int64_t tile = winograd_tile(p);
    ghl_linear linear;
    ghl_winograd winograd;
    ghl_columns columns;
    if (p->half)
        return rule_of_half(kernels, p);
    if (ghl_linear_plan(p, 1, &linear))
        return "linear";
    if (tile > 0 && ghl_winograd_plan(p, tile, &winograd))
        return tile == 2 ? "F(2x2,3x3)" : "F(4x4,3x3)";
    return columns_pay(p) && ghl_columns_plan(p, 1, &columns) ? "columns" : "onednn";
}

/* ---- The choice ---- */

static const ghl_conv_way *way_of(const char *name, bool half)
{
    for (const ghl_conv_way *way = ghl_conv_ways; name != NULL && way->name != NULL; way++)
        if ((half ? way->half : way->single) && strcmp(way->name, name) == 0)
            return way;
    return NULL;
}

ghl_status ghl_cpu_conv_prepare(ghl_cpu *cpu, const ghl_call *call, ghl_kernel *kernel)
{
    const ghl_conv_problem problem = ghl_conv_problem_of(call);
    char key[GHL_CONV_KEY], recorded[GHL_CONV_KEY + 32];
    ghl_conv_key(&problem, call->op == GHL_OP_conv_backward_weights_pair, key);
    snprintf(recorded, sizeof recorded, "%s n%lld", key, (long long)problem.x.n);
    const char *const names[] = {ghl_choices_find(cpu->choices, recorded), ghl_conv_listed(cpu->kernels->name, key),
                                 ghl_conv_rule(cpu->kernels, &problem)};
    ghl_status status = GHL_DEVICE;
    for (size_t i = 0; i < sizeof names / sizeof *names && status == GHL_DEVICE; i++) {
        const ghl_conv_way *way = way_of(names[i], problem.half);
        if (way == NULL)
            continue;
        status = way->prepare(cpu, call, &problem, way, kernel);
        if (status == GHL_OK && (status = ghl_choices_set(cpu->choices, recorded, way->name)) != GHL_OK)
            kernel->release(kernel->state);
    }
    return status;
}
