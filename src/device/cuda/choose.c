/* SPDX-License-Identifier: Apache-2.0
 *
 * choose.c - which plan a convolution gets: what the run has recorded, else what this card's file has, else what is quickest on the card,
 * of a few that cuDNN proposes. What is found is recorded and filed.
 *
 * The file "cudnn-NAME OF THE CARD" of the cache folder has a first line that says what it is of, and a line for each problem:
 *
 *     # ghl plans 1, cuDNN 9.19.0, NVIDIA H200
 *     forward bf16 n64 32x32x96->96 3x3/1x1+1x1 bias: engine 41 2=0 13=0 27=8 workspace 131
 *
 * A line can only name an engine and its knobs, and cuDNN is asked whether it will do: a wrong one is slow, or measured again, no more.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "device/cuda/choose.h"

enum { CANDIDATES = 6, KEY = 160, OPERANDS = 4 };

/* ---- The cache file ---- */

static void head_of(const ghl_cuda *cuda, char *head, size_t size)
{
    const ghl_cuda_library *d = &cuda->libraries.cudnn;
    snprintf(head, size, "# ghl plans 1, cuDNN %d.%d.%d, %.80s\n", d->major, d->minor, d->patch, cuda->model);
}

/* "PROBLEM: words of its choice", without control characters. */
static int is_line(const char *line, size_t length)
{
    const char *colon = memchr(line, ':', length);
    for (size_t i = 0; i < length; i++)
        if ((unsigned char)line[i] < ' ' || (unsigned char)line[i] > '~')
            return 0;
    return colon != NULL && colon > line && colon + 2 < line + length && colon[1] == ' ';
}

/* Takes the good lines of the text, and counts the others. */
static ghl_status take_lines(ghl_cuda *cuda, const char *text, int *bad)
{
    char problem[KEY], words[GHL_CUDA_WORDS];
    for (size_t length; *text != 0; text += length + (text[length] != 0)) {
        length = strcspn(text, "\n");
        const size_t key = strcspn(text, ":");
        if (length == 0)
            continue;
        if (text[length] == 0 || !is_line(text, length) || key >= sizeof problem || length - key - 2 >= sizeof words) {
            ++*bad; /* the last line too, where it has no end */
            continue;
        }
        snprintf(problem, sizeof problem, "%.*s", (int)key, text);
        snprintf(words, sizeof words, "%.*s", (int)(length - key - 2), text + key + 2);
        GHL_TRY(ghl_cuda_services->choices_set(cuda->cached, problem, words));
    }
    return GHL_OK;
}

/* The file as it is now, in the place of what was known of it. */
static ghl_status read_file(ghl_cuda *cuda)
{
    char head[160], *text = NULL;
    int bad = 0;
    head_of(cuda, head, sizeof head);
    ghl_cuda_services->choices_free(cuda->cached);
    cuda->cached = NULL;
    ghl_status status = ghl_cuda_services->choices_create(NULL, &cuda->cached);
    if (status == GHL_OK)
        status = ghl_cuda_services->cache_read(cuda->file, &text);
    const int other = text != NULL && strncmp(text, head, strlen(head)) != 0;
    if (status == GHL_OK && text != NULL && !other)
        status = take_lines(cuda, text + strlen(head), &bad);
    if (other)
        ghl_cuda_note(cuda, "plans are measured anew: the cache file \"%s\" is of another card or version", cuda->file);
    else if (bad > 0)
        ghl_cuda_note(cuda, "%d line%s of the cache file \"%s\" passed over", bad, bad == 1 ? "" : "s", cuda->file);
    free(text);
    return status;
}

/* The folder may be read-only, or not there: then the next run measures again. Other processes' lines are kept. */
static ghl_status write_file(ghl_cuda *cuda, const char *problem, const char *words)
{
    char head[160], *lines = NULL;
    GHL_TRY(read_file(cuda));
    GHL_TRY(ghl_cuda_services->choices_set(cuda->cached, problem, words));
    GHL_TRY(ghl_cuda_services->choices_text(cuda->cached, &lines));
    head_of(cuda, head, sizeof head);
    ghl_cuda_services->cache_write(cuda->file, head, lines);
    free(lines);
    return GHL_OK;
}

static void name_file(ghl_cuda *cuda)
{
    snprintf(cuda->file, sizeof cuda->file, "cudnn-%.80s", cuda->model);
    for (char *c = cuda->file; *c != 0; c++)
        if (strchr("/\\ :\"'", *c) != NULL || (unsigned char)*c < ' ' || (unsigned char)*c > '~')
            *c = '-';
}

/* Numbers of engines and knobs mean something else on another card, and to another cuDNN: what was recorded there is passed over. */
ghl_status ghl_cuda_choices_open(ghl_cuda *cuda, const char *recorded)
{
    static const char key[] = "card";
    const ghl_cuda_library *d = &cuda->libraries.cudnn;
    char card[160];
    name_file(cuda);
    snprintf(card, sizeof card, "%s, cuDNN %d.%d.%d", cuda->model, d->major, d->minor, d->patch);
    GHL_TRY(ghl_cuda_services->choices_create(recorded, &cuda->choices));
    const char *before = ghl_cuda_services->choices_find(cuda->choices, key);
    if (before == NULL || strcmp(before, card) != 0) {
        ghl_cuda_services->choices_free(cuda->choices);
        cuda->choices = NULL;
        GHL_TRY(ghl_cuda_services->choices_create(NULL, &cuda->choices));
    }
    return ghl_cuda_services->choices_set(cuda->choices, key, card);
}

void ghl_cuda_choices_close(ghl_cuda *cuda)
{
    ghl_cuda_services->choices_free(cuda->choices);
    ghl_cuda_services->choices_free(cuda->cached);
}

/* ---- Choosing among any ---- */

ghl_status ghl_cuda_choice_find(ghl_cuda *cuda, const char *problem, char found[2][GHL_CUDA_WORDS])
{
    if (cuda->cached == NULL)
        GHL_TRY(read_file(cuda));
    const struct ghl_choices *const places[2] = {cuda->choices, cuda->cached};
    for (int i = 0; i < 2; i++) {
        const char *words = ghl_cuda_services->choices_find(places[i], problem);
        if (words == NULL && i == 0 && cuda->tried != NULL)
            words = ghl_cuda_services->choices_find(cuda->tried, problem);
        snprintf(found[i], GHL_CUDA_WORDS, "%s", words != NULL ? words : "");
    }
    return GHL_OK;
}

ghl_status ghl_cuda_choice_record(ghl_cuda *cuda, const char *problem, const char *words, int measured)
{
    GHL_TRY(ghl_cuda_services->choices_set(cuda->tried != NULL ? cuda->tried : cuda->choices, problem, words));
    return measured ? write_file(cuda, problem, words) : GHL_OK;
}

ghl_status ghl_cuda_choices_keep(ghl_cuda *cuda, const struct ghl_choices *tried)
{
    char *before = NULL, *more = NULL, *all = NULL;
    struct ghl_choices *both = NULL;
    ghl_status status = ghl_cuda_services->choices_text(cuda->choices, &before);
    if (status == GHL_OK)
        status = ghl_cuda_services->choices_text(tried, &more);
    if (status == GHL_OK && (all = malloc(strlen(before) + strlen(more) + 1)) == NULL)
        status = GHL_CUDA_FAIL(GHL_MEMORY, NULL, "device cuda: no memory");
    if (status == GHL_OK) {
        strcpy(stpcpy(all, before), more);
        status = ghl_cuda_services->choices_create(all, &both);
    }
    if (status == GHL_OK) {
        ghl_cuda_services->choices_free(cuda->choices);
        cuda->choices = both;
    }
    free(before);
    free(more);
    free(all);
    return status;
}

/* ---- A convolution ---- */

static void key_of(const ghl_cudnn_problem *p, char key[KEY])
{
    static const char *const kinds[] = {[GHL_CUDNN_FORWARD] = "forward", [GHL_CUDNN_DATA] = "data", [GHL_CUDNN_WEIGHTS] = "weights"};
    const ghl_window *v = &p->window;
    snprintf(key, KEY, "%s %s n%lld %lldx%lldx%lld->%lld %dx%d/%dx%d+%dx%d%s%s", kinds[p->kind],
             p->half ? p->wide ? "bf16-f32" : "bf16" : p->rounds ? "tf32" : "f32", (long long)p->x.n, (long long)p->x.h, (long long)p->x.w,
             (long long)p->x.c, (long long)p->y.c, (int)v->kernel[0], (int)v->kernel[1], (int)v->stride[0], (int)v->stride[1],
             (int)v->padding[0], (int)v->padding[1], p->bias ? " bias" : "", p->loose ? " loose" : "");
}

typedef struct trial {
    ghl_cuda *cuda;
    const ghl_cudnn_plan *plan;
    void *data[GHL_CUDNN_TENSORS], *workspace;
} trial;

static ghl_status run_trial(void *user)
{
    const trial *t = user;
    return ghl_cudnn_run(t->cuda->cudnn, t->plan, t->cuda->stream, t->data, t->workspace);
}

/* Times all plans on operands of the problem's sizes, in memory of their own; GHL_MEMORY where there is none for that. */
static ghl_status time_plans(ghl_cuda *cuda, const ghl_cudnn_problem *p, int n, const ghl_cudnn_plan *plans, float *milliseconds)
{
    const ghl_shape shapes[OPERANDS] = {p->x, p->w, p->y, {1, 1, 1, p->y.c}};
    size_t bytes[OPERANDS + 1] = {0};
    void *places[OPERANDS + 1], *memory = NULL;
    trial t = {.cuda = cuda};
    for (int i = 0; i < OPERANDS; i++)
        bytes[i] = (size_t)(shapes[i].n * shapes[i].h * shapes[i].w * shapes[i].c) * (p->half && !(i == 1 && p->wide) ? 2 : 4);
    for (int i = 0; i < n; i++)
        bytes[OPERANDS] = plans[i].workspace_bytes > bytes[OPERANDS] ? plans[i].workspace_bytes : bytes[OPERANDS];
    GHL_TRY(ghl_cuda_room(cuda, OPERANDS + 1, bytes, places, &memory));
    memcpy(t.data + 1, places, OPERANDS * sizeof *places);
    t.workspace = places[OPERANDS];
    ghl_status status = GHL_OK;
    for (int i = 0; i < n && status == GHL_OK; i++) {
        t.plan = &plans[i];
        status = ghl_cuda_time(cuda, run_trial, &t, i == 0 ? 0.0f : milliseconds[0], &milliseconds[i]);
    }
    ghl_cuda_free(cuda, memory);
    return status;
}

/* The quickest, but not for a difference that is none. Results that differ from run to run must be worth a twentieth. */
static int quickest(int n, const ghl_cudnn_plan *plans, const float *milliseconds)
{
    int best = -1;
    for (int loose = 0; loose < 2; loose++)
        for (int i = 0; i < n; i++)
            if (plans[i].repeats == !loose && milliseconds[i] >= 0.0f &&
                (best < 0 || milliseconds[i] < milliseconds[best] * (loose && plans[best].repeats ? 0.95f : 0.98f)))
                best = i;
    return best;
}

static ghl_status measure(ghl_cuda *cuda, const ghl_cudnn_problem *p, ghl_cudnn_plan *out, int *measured)
{
    ghl_cudnn_plan plans[CANDIDATES];
    float milliseconds[CANDIDATES];
    int n = 0;
    GHL_TRY(ghl_cudnn_candidates(cuda->cudnn, p, CANDIDATES, plans, &n));
    ghl_status status = n > 1 ? time_plans(cuda, p, n, plans, milliseconds) : GHL_OK;
    *measured = status == GHL_OK && n > 1;
    if (status == GHL_MEMORY || n == 1) { /* the first that repeats, or the first */
        for (int i = 0; i < n; i++)
            milliseconds[i] = 0.0f;
        status = GHL_OK;
    }
    const int best = status == GHL_OK ? quickest(n, plans, milliseconds) : -1;
    if (status == GHL_OK && best < 0)
        status = GHL_CUDA_FAIL(GHL_DEVICE, "ghl doctor says which cuDNN was found",
                               "device cuda: cuDNN: no engine that was named ran this convolution");
    for (int i = 0; i < n; i++)
        if (i == best)
            *out = plans[i];
        else
            ghl_cudnn_release(cuda->cudnn, &plans[i]);
    return status;
}

ghl_status ghl_cuda_choose(ghl_cuda *cuda, const ghl_cudnn_problem *problem, ghl_cudnn_plan *out)
{
    char key[KEY];
    char found[2][GHL_CUDA_WORDS];
    int measured = 0;
    key_of(problem, key);
    GHL_TRY(ghl_cuda_choice_find(cuda, key, found));
    ghl_status status = GHL_DEVICE;
    for (int i = 0; i < 2 && status != GHL_OK; i++)
        if (found[i][0] != 0)
            status = ghl_cudnn_restore(cuda->cudnn, problem, found[i], out);
    if (status != GHL_OK)
        status = measure(cuda, problem, out, &measured);
    if (status == GHL_OK && (status = ghl_cuda_choice_record(cuda, key, out->words, measured)) != GHL_OK)
        ghl_cudnn_release(cuda->cudnn, out);
    return status;
}
