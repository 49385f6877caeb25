/* SPDX-License-Identifier: Apache-2.0
 *
 * plan.c - ghl plan: nodes, the program, memory, in exact numbers.
 */
#include "base/machine.h"
#include "command/result.h"
#include "train/fit.h"

#include <stdlib.h>
#include <string.h>

static int64_t node_parameters(const ghl_node *node)
{
    int64_t sum = 0;
    for (int i = 0; i < node->n_weights; i++)
        if (node->weights[i].role != GHL_BUFFER)
            sum += ghl_shape_elements(node->weights[i].shape);
    return sum;
}

static const ghl_weight *node_matrix(const ghl_node *node)
{
    for (int i = 0; i < node->n_weights; i++)
        if (node->weights[i].role == GHL_MATRIX)
            return &node->weights[i];
    return NULL;
}

static const char *node_rule(const ghl_setup *s, const ghl_node *node)
{
    const ghl_weight *w = node_matrix(node);
    const ghl_rule *rule = w == NULL ? NULL : s->learnings.weights[w->index].rule;
    return rule == NULL ? "" : rule->name;
}

static void print_nodes(const ghl_setup *s, ghl_text *text)
{
    ghl_text_add(text, "%-16s %-20s %-16s %12s  %s\n", "layer", "kind", "output", "parameters", "rule");
    for (int i = 0; i < s->net->count; i++) {
        const ghl_node *node = s->net->nodes[i];
        char shape[80];
        ghl_shape_print(node->shape, shape);
        ghl_text_add(text, "%-16s %-20s %-16s %12lld  %s\n", node->name, node->kind->name, strchr(shape, 'x') + 1,
                     (long long)node_parameters(node), node_rule(s, node));
    }
}

static void print_program(const ghl_program *program, ghl_text *text)
{
    ghl_text_add(text, "\n%4s %-9s %-28s %-14s %-18s %-18s %10s  %s\n", "call", "stage", "op", "layer", "first input", "output", "MFLOP",
                 "runs as");
    for (int i = 0; i < ghl_program_calls(program); i++) {
        ghl_call_info info = ghl_program_call(program, i);
        char in[80] = "", out[80] = "";
        if (info.call->n_in > 0)
            ghl_shape_print(info.call->in[0].shape, in);
        if (info.call->n_out > 0)
            ghl_shape_print(info.call->out[0].shape, out);
        ghl_text_add(text, "%4d %-9s %-28s %-14s %-18s %-18s %10.2f  %s\n", i, info.stage, info.op, info.node, in, out,
                     ghl_call_flops(info.call) / 1e6, info.note);
    }
}

/* Calls over real data that a faster device left to the reference kernels. */
static int slow_calls(const ghl_setup *s)
{
    const double small = 1 << 16; /* bytes: counters, flags, running statistics */
    int n = 0;
    for (int i = 0; strcmp(ghl_plan_device(s->plan, NULL)->name, "ref") != 0 && i < ghl_program_calls(s->step); i++) {
        ghl_call_info info = ghl_program_call(s->step, i);
        n += strcmp(info.note, "ref") == 0 && ghl_call_bytes(info.call) > small;
    }
    return n;
}

static void warn(const ghl_host *host, const char *text)
{
    if (host != NULL && host->log != NULL)
        host->log(host->user, GHL_LEVEL_WARNING, text);
}

/* Peak resident sizes: of a training, and of bare steps as in ghl bench. */
typedef struct peaks {
    ghl_needs training, steps;
} peaks;

static ghl_status find_peaks(const ghl_setup *s, const ghl_host *host, peaks *p)
{
    GHL_TRY(ghl_setup_needs(s, true, &p->training));
    GHL_TRY(ghl_setup_needs(s, false, &p->steps));
    if (!ghl_needs_fit(s, &p->training))
        warn(host, "this training needs more memory than there is, and would be refused");
    return GHL_OK;
}

static ghl_status plan_text(const ghl_setup *s, const peaks *p, const ghl_host *host)
{
    ghl_text text = {0};
    void *self = NULL;
    const ghl_device *device = ghl_plan_device(s->plan, &self);
    print_nodes(s, &text);
    print_program(s->step, &text);
    ghl_text_add(&text, "\nparameters      %lld\n", (long long)ghl_net_parameters(s->net));
    ghl_text_add(&text, "flops_per_step  %.0f\n", ghl_program_flops(s->step));
    ghl_text_add(&text, "arena_bytes     %zu (transients of a step: %zu)\n", ghl_plan_bytes(s->plan), ghl_program_bytes(s->step));
    ghl_text_add(&text, "peak_bytes      %zu (steps alone, as in ghl bench: %zu)\n", ghl_needs_sum(&p->training), ghl_needs_sum(&p->steps));
    if (p->training.own > 0)
        ghl_text_add(&text, "device_bytes    %zu of its own memory, without images that stay there\n", p->training.own);
    ghl_text_add(&text, "device          %s\n", device->describe(self));
    if (slow_calls(s) > 0)
        warn(host, "some calls run on slow reference kernels: those that say \"ref\" in the last column");
    return ghl_result_text(GHL_OK, host, &text);
}

static ghl_status plan_json(const ghl_setup *s, const peaks *p, const ghl_host *host)
{
    ghl_json *json = ghl_json_create(false), *nodes, *calls;
    ghl_json_add_text(json, "model", s->recipe->model_kind.kind->name);
    ghl_json_add_text(json, "rule", ghl_setup_rule(s));
    ghl_json_add_text(json, "device", ghl_plan_device(s->plan, NULL)->name);
    ghl_json_add_integer(json, "batch", s->batch);
    ghl_json_add_integer(json, "parameters", ghl_net_parameters(s->net));
    ghl_json_add_real(json, "flops_per_step", ghl_program_flops(s->step));
    ghl_json_add_integer(json, "arena_bytes", (int64_t)ghl_plan_bytes(s->plan));
    ghl_json_add_integer(json, "peak_bytes", (int64_t)ghl_needs_sum(&p->training));
    ghl_json_add_integer(json, "steps_peak_bytes", (int64_t)ghl_needs_sum(&p->steps));
    ghl_json_add_integer(json, "device_bytes", (int64_t)p->training.own);
    ghl_json_add_integer(json, "reference_calls", slow_calls(s));
    nodes = ghl_json_add_array(json, "nodes");
    for (int i = 0; i < s->net->count; i++) {
        const ghl_node *node = s->net->nodes[i];
        ghl_json *row = ghl_json_add_object(nodes, NULL), *shape;
        ghl_json_add_text(row, "name", node->name);
        ghl_json_add_text(row, "kind", node->kind->name);
        shape = ghl_json_add_array(row, "output");
        ghl_json_add_integer(shape, NULL, node->shape.h);
        ghl_json_add_integer(shape, NULL, node->shape.w);
        ghl_json_add_integer(shape, NULL, node->shape.c);
        ghl_json_add_integer(row, "parameters", node_parameters(node));
        ghl_json_add_text(row, "rule", node_rule(s, node));
    }
    calls = ghl_json_add_array(json, "calls");
    for (int i = 0; i < ghl_program_calls(s->step); i++) {
        ghl_call_info info = ghl_program_call(s->step, i);
        ghl_json *row = ghl_json_add_object(calls, NULL);
        ghl_json_add_text(row, "stage", info.stage);
        ghl_json_add_text(row, "op", info.op);
        ghl_json_add_text(row, "node", info.node);
        ghl_json_add_real(row, "flops", ghl_call_flops(info.call));
        ghl_json_add_real(row, "bytes", ghl_call_bytes(info.call));
        ghl_json_add_text(row, "note", info.note);
        ghl_json_add_integer(row, "chain", info.chain);
    }
    return ghl_result_json(GHL_OK, host, json);
}

ghl_status ghl_plan_show(const ghl_recipe *recipe, bool json, const ghl_host *host)
{
    ghl_setup s;
    peaks p;
    ghl_status status = ghl_setup_describe(recipe, 0, &s);
    if (status == GHL_OK)
        status = ghl_setup_compile(&s, true);
    if (status == GHL_OK)
        status = ghl_plan_prepare(s.plan);
    if (status == GHL_OK)
        status = find_peaks(&s, host, &p);
    if (status == GHL_OK)
        status = (json ? plan_json : plan_text)(&s, &p, host);
    ghl_setup_release(&s);
    return status;
}
