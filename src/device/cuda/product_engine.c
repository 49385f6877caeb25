/* SPDX-License-Identifier: Apache-2.0
 *
 * product_engine.c - plans of a convolution: those that cuDNN's heuristics propose, as far as they will do, and the one that words name.
 * A plan is an engine and the settings of its knobs; both are numbers, which mean the same on the same card and version of cuDNN.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "device/cuda/product_cudnn.h"

/* SAME: candidates by one engine; COMPILED: candidates that cuDNN compiles when they are planned, which takes about a second each. */
enum { CONFIGS = 64, KNOBS = CUDNN_KNOB_TYPE_COUNTS, SAME = 3, COMPILED = 2 };
static const size_t most_workspace = (size_t)1 << 30;
typedef ghl_descriptor_handle descriptor;

static descriptor create(ghl_cudnn *api, cudnnBackendDescriptorType_t type)
{
    descriptor d = NULL;
    return api->cudnnBackendCreateDescriptor(type, &d) == CUDNN_STATUS_SUCCESS ? d : NULL;
}

static void destroy(ghl_cudnn *api, descriptor d)
{
    if (d != NULL)
        api->cudnnBackendDestroyDescriptor(d);
}

/* ---- What an engine says of itself ---- */

static int64_t integer_of(ghl_cudnn *api, descriptor d, cudnnBackendAttributeName_t name, int64_t otherwise)
{
    int64_t n = 0, value = otherwise;
    return api->cudnnBackendGetAttribute(d, name, CUDNN_TYPE_INT64, 1, &n, &value) == CUDNN_STATUS_SUCCESS && n == 1 ? value : otherwise;
}

typedef struct notes {
    int n; /* < 0: it does not say */
    cudnnBackendNumericalNote_t all[CUDNN_NUMERICAL_NOTE_TYPE_COUNT];
} notes;

static notes notes_of(ghl_cudnn *api, descriptor engine)
{
    notes found = {.n = -1};
    int64_t n = 0;
    if (api->cudnnBackendGetAttribute(engine, CUDNN_ATTR_ENGINE_NUMERICAL_NOTE, CUDNN_TYPE_NUMERICAL_NOTE, CUDNN_NUMERICAL_NOTE_TYPE_COUNT,
                                      &n, found.all) == CUDNN_STATUS_SUCCESS)
        found.n = (int)n;
    return found;
}

static int has(const notes *notes, cudnnBackendNumericalNote_t note)
{
    for (int i = 0; i < notes->n; i++)
        if (notes->all[i] == note)
            return 1;
    return 0;
}

/* Whether the engine does the arithmetic that the problem asks for. Inputs that are converted down are taken for half precision, of which
 * nobody said that the numbers fit. */
static int will_do(const notes *notes, const ghl_cudnn_problem *p)
{
    if (notes->n < 0 || has(notes, CUDNN_NUMERICAL_NOTE_REDUCED_PRECISION_REDUCTION) ||
        (!p->loose && has(notes, CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC)))
        return 0;
    if (p->half)
        return 1;
    return !has(notes, CUDNN_NUMERICAL_NOTE_DOWN_CONVERT_INPUTS) && (p->rounds || !has(notes, CUDNN_NUMERICAL_NOTE_TENSOR_CORE));
}

static int is_compiled(ghl_cudnn *api, descriptor engine)
{
    cudnnBackendBehaviorNote_t all[CUDNN_BEHAVIOR_NOTE_TYPE_COUNT];
    int64_t n = 0;
    if (api->cudnnBackendGetAttribute(engine, CUDNN_ATTR_ENGINE_BEHAVIOR_NOTE, CUDNN_TYPE_BEHAVIOR_NOTE, CUDNN_BEHAVIOR_NOTE_TYPE_COUNT, &n,
                                      all) != CUDNN_STATUS_SUCCESS)
        return 0;
    for (int64_t i = 0; i < n; i++)
        if (all[i] == CUDNN_BEHAVIOR_NOTE_RUNTIME_COMPILATION)
            return 1;
    return 0;
}

/* ---- A plan ---- */

/* " 2=7 13=0": the knobs of a configuration. */
static void add_knobs(ghl_cudnn *api, descriptor config, char *words, size_t size)
{
    descriptor knobs[KNOBS] = {NULL};
    int64_t count = 0, n = 0;
    for (int i = 0; i < KNOBS; i++)
        knobs[i] = create(api, CUDNN_BACKEND_KNOB_CHOICE_DESCRIPTOR);
    api->cudnnBackendGetAttribute(config, CUDNN_ATTR_ENGINECFG_KNOB_CHOICES, CUDNN_TYPE_BACKEND_DESCRIPTOR, KNOBS, &count, knobs);
    for (int64_t i = 0; i < count && i < KNOBS; i++) {
        cudnnBackendKnobType_t knob = CUDNN_KNOB_TYPE_COUNTS;
        const size_t used = strlen(words);
        api->cudnnBackendGetAttribute(knobs[i], CUDNN_ATTR_KNOB_CHOICE_KNOB_TYPE, CUDNN_TYPE_KNOB_TYPE, 1, &n, &knob);
        snprintf(words + used, size - used, " %d=%lld", (int)knob,
                 (long long)integer_of(api, knobs[i], CUDNN_ATTR_KNOB_CHOICE_KNOB_VALUE, -1));
    }
    for (int i = 0; i < KNOBS; i++)
        destroy(api, knobs[i]);
}

static void describe(ghl_cudnn *api, ghl_cudnn_plan *plan)
{
    const long long number = (long long)integer_of(api, plan->engine, CUDNN_ATTR_ENGINE_GLOBAL_INDEX, -1);
    snprintf(plan->note, sizeof plan->note, "cudnn engine %lld", number);
    snprintf(plan->words, sizeof plan->words, "engine %lld", number);
    add_knobs(api, plan->config, plan->words, sizeof plan->words);
    const size_t used = strlen(plan->words);
    snprintf(plan->words + used, sizeof plan->words - used, " workspace %zu", plan->workspace_bytes);
}

/* A plan of the configuration, if its engine will do and its workspace is not too large; else nothing is kept of either. */
static int plan_config(ghl_cudnn *api, descriptor config, descriptor engine, const ghl_cudnn_problem *p, ghl_cudnn_plan *out)
{
    ghl_cudnn_builder b = {.api = api};
    const notes notes = notes_of(api, engine);
    int64_t workspace = -1;
    *out = (ghl_cudnn_plan){.config = config, .engine = engine, .problem = *p,
                            .repeats = !has(&notes, CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC)};
    if (will_do(&notes, p) && (out->descriptor = create(api, CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR)) != NULL) {
        ghl_cudnn_set_descriptor(&b, out->descriptor, CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, config);
        if (api->handle != NULL)
            ghl_cudnn_set(&b, out->descriptor, CUDNN_ATTR_EXECUTION_PLAN_HANDLE, CUDNN_TYPE_HANDLE, 1, &api->handle);
        else
            ghl_cudnn_set_descriptor(&b, out->descriptor, CUDNN_ATTR_EXECUTION_PLAN_DEVICEPROP, api->properties);
        ghl_cudnn_finalize(&b, out->descriptor);
        if (b.failed == CUDNN_STATUS_SUCCESS)
            workspace = integer_of(api, out->descriptor, CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE, -1);
    }
    if (workspace < 0 || (size_t)workspace > most_workspace) {
        ghl_cudnn_release(api, out);
        return 0;
    }
    out->workspace_bytes = (size_t)workspace;
    describe(api, out);
    return 1;
}

void ghl_cudnn_release(ghl_cudnn *cudnn, ghl_cudnn_plan *plan)
{
    destroy(cudnn, plan->descriptor);
    destroy(cudnn, plan->engine);
    destroy(cudnn, plan->config);
    *plan = (ghl_cudnn_plan){0};
}

/* ---- Candidates ---- */

typedef struct search {
    ghl_cudnn_builder b;
    const ghl_cudnn_problem *problem;
    ghl_cudnn_plan *plans;
    int most, n, compiled;
} search;

/* Whether the engine has had its turns, or exactly this plan is there already. */
static int is_known(const search *s, const ghl_cudnn_plan *plan)
{
    int same = 0;
    for (int i = 0; i < s->n; i++) {
        if (strcmp(s->plans[i].words, plan->words) == 0)
            return 1;
        same += strcmp(s->plans[i].note, plan->note) == 0;
    }
    return same >= SAME;
}

/* Takes over the configuration. */
static void consider(search *s, descriptor config)
{
    ghl_cudnn *api = s->b.api;
    descriptor engine = create(api, CUDNN_BACKEND_ENGINE_DESCRIPTOR);
    ghl_cudnn_plan *plan = &s->plans[s->n];
    int64_t n = 0;
    const int known = engine != NULL && api->cudnnBackendGetAttribute(config, CUDNN_ATTR_ENGINECFG_ENGINE, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1,
                                                                      &n, &engine) == CUDNN_STATUS_SUCCESS;
    const int compiled = known && is_compiled(api, engine);
    if (!known || (compiled && s->compiled == COMPILED)) {
        destroy(api, engine);
        destroy(api, config);
        return;
    }
    if (!plan_config(api, config, engine, s->problem, plan))
        return;
    if (is_known(s, plan)) {
        ghl_cudnn_release(api, plan);
        return;
    }
    s->compiled += compiled;
    s->n++;
}

/* Asks one kind of heuristics. One that a version or card does not have has no results. */
static void ask(search *s, descriptor graph, cudnnBackendHeurMode_t mode)
{
    ghl_cudnn *api = s->b.api;
    ghl_cudnn_builder b = {.api = api, .failed = s->b.failed};
    descriptor configs[CONFIGS] = {NULL}, heuristics = ghl_cudnn_make(&b, CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR);
    int64_t n = 0;
    ghl_cudnn_set_descriptor(&b, heuristics, CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, graph);
    ghl_cudnn_set(&b, heuristics, CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_TYPE_HEUR_MODE, 1, &mode);
    if (api->properties != NULL)
        ghl_cudnn_set_descriptor(&b, heuristics, CUDNN_ATTR_ENGINEHEUR_DEVICEPROP, api->properties);
    ghl_cudnn_finalize(&b, heuristics);
    for (int i = 0; i < CONFIGS && b.failed == CUDNN_STATUS_SUCCESS; i++)
        b.failed = api->cudnnBackendCreateDescriptor(CUDNN_BACKEND_ENGINECFG_DESCRIPTOR, &configs[i]);
    if (b.failed == CUDNN_STATUS_SUCCESS)
        b.failed = api->cudnnBackendGetAttribute(heuristics, CUDNN_ATTR_ENGINEHEUR_RESULTS, CUDNN_TYPE_BACKEND_DESCRIPTOR, CONFIGS, &n,
                                                 configs);
    for (int i = 0; i < CONFIGS; i++)
        if (b.failed == CUDNN_STATUS_SUCCESS && i < n && s->n < s->most)
            consider(s, configs[i]);
        else
            destroy(api, configs[i]);
    ghl_cudnn_unmake(&b);
}

ghl_status ghl_cudnn_candidates(ghl_cudnn *cudnn, const ghl_cudnn_problem *problem, int most, ghl_cudnn_plan *out, int *n)
{
    search s = {.b = {.api = cudnn}, .problem = problem, .plans = out, .most = most};
    static const cudnnBackendHeurMode_t modes[] = {CUDNN_HEUR_MODE_A, CUDNN_HEUR_MODE_B, CUDNN_HEUR_MODE_FALLBACK};
    descriptor graph = ghl_cudnn_graph(&s.b, problem);
    const ghl_status status = ghl_cudnn_check(cudnn, s.b.failed, "describing a convolution");
    for (size_t i = 0; i < sizeof modes / sizeof *modes && status == GHL_OK && s.n < most; i++)
        ask(&s, graph, modes[i]);
    ghl_cudnn_unmake(&s.b);
    *n = s.n;
    if (status != GHL_OK || s.n > 0)
        return status;
    return GHL_CUDA_FAIL(GHL_DEVICE, "another train.dtype or a newer cuDNN may do; so does train.device=cpu",
                         "device cuda: cuDNN has no %sengine for this convolution", problem->loose ? "" : "deterministic ");
}

/* ---- A plan by its words ---- */

/* " 2=7 13=0": makes the knobs; their number. */
static int read_knobs(ghl_cudnn_builder *b, const char *words, descriptor knobs[KNOBS])
{
    int n = 0, knob, length;
    long long setting;
    for (; n < KNOBS && sscanf(words, " %d=%lld%n", &knob, &setting, &length) == 2; words += length, n++) {
        const cudnnBackendKnobType_t type = (cudnnBackendKnobType_t)knob;
        const int64_t value = setting;
        knobs[n] = ghl_cudnn_make(b, CUDNN_BACKEND_KNOB_CHOICE_DESCRIPTOR);
        ghl_cudnn_set(b, knobs[n], CUDNN_ATTR_KNOB_CHOICE_KNOB_TYPE, CUDNN_TYPE_KNOB_TYPE, 1, &type);
        ghl_cudnn_set(b, knobs[n], CUDNN_ATTR_KNOB_CHOICE_KNOB_VALUE, CUDNN_TYPE_INT64, 1, &value);
        ghl_cudnn_finalize(b, knobs[n]);
    }
    return n;
}

ghl_status ghl_cudnn_restore(ghl_cudnn *cudnn, const ghl_cudnn_problem *problem, const char *words, ghl_cudnn_plan *out)
{
    ghl_cudnn_builder b = {.api = cudnn};
    descriptor knobs[KNOBS] = {NULL};
    long long number = -1;
    int at = 0;
    *out = (ghl_cudnn_plan){0};
    if (sscanf(words, "engine %lld%n", &number, &at) != 1)
        return GHL_CUDA_FAIL(GHL_DEVICE, NULL, "device cuda: no plan is called \"%s\"", words);
    const int64_t index = number;
    descriptor graph = ghl_cudnn_graph(&b, problem), engine = create(cudnn, CUDNN_BACKEND_ENGINE_DESCRIPTOR);
    descriptor config = create(cudnn, CUDNN_BACKEND_ENGINECFG_DESCRIPTOR);
    if (engine == NULL || config == NULL)
        b.failed = CUDNN_STATUS_ALLOC_FAILED;
    ghl_cudnn_set_descriptor(&b, engine, CUDNN_ATTR_ENGINE_OPERATION_GRAPH, graph);
    ghl_cudnn_set(&b, engine, CUDNN_ATTR_ENGINE_GLOBAL_INDEX, CUDNN_TYPE_INT64, 1, &index);
    if (cudnn->properties != NULL)
        ghl_cudnn_set_descriptor(&b, engine, CUDNN_ATTR_ENGINE_DEVICEPROP, cudnn->properties);
    ghl_cudnn_finalize(&b, engine);
    const int n = read_knobs(&b, words + at, knobs);
    ghl_cudnn_set_descriptor(&b, config, CUDNN_ATTR_ENGINECFG_ENGINE, engine);
    if (n > 0)
        ghl_cudnn_set(&b, config, CUDNN_ATTR_ENGINECFG_KNOB_CHOICES, CUDNN_TYPE_BACKEND_DESCRIPTOR, n, knobs);
    ghl_cudnn_finalize(&b, config);
    ghl_status status = ghl_cudnn_check(cudnn, b.failed, "making a plan again");
    if (status != GHL_OK) {
        destroy(cudnn, engine);
        destroy(cudnn, config);
    } else if (!plan_config(cudnn, config, engine, problem, out)) {
        status = GHL_CUDA_FAIL(GHL_DEVICE, NULL, "device cuda: cuDNN cannot make the plan \"%s\" again", words);
    }
    ghl_cudnn_unmake(&b);
    return status;
}
