/* SPDX-License-Identifier: Apache-2.0
 *
 * The command `doctor`: what this machine has that matters for training, what is missing, and how to get it.
 *
 * A check is a row: a function that writes what it found, and a hint of what to do where something is missing.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/files.h"
#include "base/machine.h"
#include "base/zip.h"
#include "command/bf16_trial.h"
#include "command/result.h"
#include "data/picture.h"
#include "device/cache.h"
#include "device/device.h"
#include "device/peak.h"
#include "device/processor.h"
#include "ghl_build.h"

typedef struct finding {
    char value[1000]; /* of a GPU: two libraries' paths too */
    const char *hint; /* NULL: nothing is missing */
} finding;

typedef struct examination {
    ghl_processor processor;
    ghl_peak peak;
    ghl_status peak_status;
} examination;

#define SAY(found, ...) snprintf((found)->value, sizeof (found)->value, __VA_ARGS__)

static void check_ghl(const examination *x, finding *f)
{
    (void)x;
    SAY(f, "%s%s%s, built by %s, %s%s%s", GHL_BUILD_VERSION, GHL_BUILD_COMMIT[0] ? " at " : "", GHL_BUILD_COMMIT, GHL_BUILD_COMPILER,
        GHL_BUILD_TYPE, GHL_BUILD_SANITIZE[0] ? ", sanitizers " : "", GHL_BUILD_SANITIZE);
    if (strcmp(GHL_BUILD_TYPE, "Release") != 0)
        f->hint = "this build is slow; for training: cmake --preset release && cmake --build --preset release";
}

static void check_processor(const examination *x, finding *f)
{
    SAY(f, "%s", x->processor.name);
}

static void check_features(const examination *x, finding *f)
{
    const ghl_processor *p = &x->processor;
    const struct {
        const char *name;
        bool there;
    } features[] = {{"avx2", p->avx2}, {"fma", p->fma}, {"avx512f", p->avx512f}, {"avx512_bf16", p->avx512_bf16}, {"amx_tile", p->amx_tile},
                    {"amx_bf16", p->amx_bf16}};
    char has[160] = "", lacks[160] = "";

    for (size_t i = 0; i < sizeof features / sizeof *features; i++) {
        char *list = features[i].there ? has : lacks;
        size_t used = strlen(list);
        snprintf(list + used, sizeof has - used, " %s", features[i].name);
    }
    SAY(f, "%s%s%s", has[0] ? has + 1 : "baseline only", lacks[0] ? "; not" : "", lacks);
    if (!p->x86)
        SAY(f, "not an x86-64 processor: own kernels run in their plain form");
    else if (!p->avx2)
        f->hint = "without AVX2 training is many times slower; use a processor of the last ten years";
}

/* Not every processor that has the instructions is faster with them: without tiles some do half as many products a second as in f32. */
static void check_bf16(const examination *x, finding *f)
{
    static const double worth_it = 1.1;
    const char *isa = x->peak.bf16_isa != NULL ? x->peak.bf16_isa : "none";
    double gain;

    if (ghl_bf16_trial(&gain) != GHL_OK) {
        SAY(f, "refused: %s; train.dtype=f32 is the way here", ghl_error_message());
        return;
    }
    SAY(f, "%s; a 3x3 convolution of 64 channels runs %.1f times as fast as in f32: train.dtype=%s is the faster here", isa, gain,
        gain > worth_it ? "bf16" : "f32");
}

static void check_cores(const examination *x, finding *f)
{
    const long online = sysconf(_SC_NPROCESSORS_ONLN);
    const int usable = ghl_machine_processors();

    (void)x;
    SAY(f, "%d usable of %ld; a training takes %d threads unless train.threads says otherwise", usable, online, usable);
}

static void check_memory(const examination *x, finding *f)
{
    const double gib = 1.0 / (1 << 30);
    size_t total, available;

    (void)x;
    ghl_machine_memory(&total, &available);
    if (total == 0)
        SAY(f, "unknown");
    else
        SAY(f, "%.1f GiB, %.1f of them available, %.1f for one process", gib * (double)total, gib * (double)available,
            gib * (double)ghl_process_room());
}

static void check_huge_pages(const examination *x, finding *f)
{
    char *text;
    size_t size;

    (void)x;
    if (ghl_file_read("/sys/kernel/mm/transparent_hugepage/enabled", 4096, GHL_DEVICE, &text, &size) != GHL_OK) {
        SAY(f, "unknown");
        return;
    }
    text[strcspn(text, "\n")] = '\0';
    SAY(f, "%s", text);
    if (strstr(text, "[never]"))
        f->hint = "as root: echo madvise > /sys/kernel/mm/transparent_hugepage/enabled; it may save some per cent of time";
    free(text);
}

static void check_libraries(const examination *x, finding *f)
{
    (void)x;
    SAY(f, "zlib %s, libyaml %s, jansson %s, libjpeg-turbo %s, libspng %s; oneDNN: see device cpu", ghl_zlib_version(), ghl_yaml_version(),
        ghl_jansson_version(), ghl_jpeg_version(), ghl_png_version());
}

static void check_peak(const examination *x, finding *f)
{
    const ghl_peak *p = &x->peak;

    if (x->peak_status == GHL_OK)
        SAY(f, "%.0f GFLOP/s fp32 (%s), %.0f bf16 (%s), %d threads; copying %.0f GB/s in %s, %.0f in %s, %.0f in %s", p->gflops, p->isa,
            p->bf16_gflops, p->bf16_isa, p->threads, p->level[GHL_PEAK_L2].copy_gbytes_s, p->level[GHL_PEAK_L2].name,
            p->level[GHL_PEAK_L3].copy_gbytes_s, p->level[GHL_PEAK_L3].name, p->level[GHL_PEAK_MEMORY].copy_gbytes_s,
            p->level[GHL_PEAK_MEMORY].name);
    else
        SAY(f, "could not be measured: %s", ghl_error_message());
}

static void check_gpu(const examination *x, finding *f)
{
    (void)x;
    ghl_device_cuda.examine(f->value, sizeof f->value, &f->hint);
}

static void check_cache(const examination *x, finding *f)
{
    char folder[4096];

    (void)x;
    if (ghl_cache_place(folder))
        SAY(f, "%.300s: what is measured once a card is kept there; it may be deleted", folder);
    else
        SAY(f, "none: neither XDG_CACHE_HOME nor HOME is set, so cards are measured anew by each run");
}

static void check_fashion(const examination *x, finding *f)
{
    static const char *const folder = "/usr/share/datasets/fashion-mnist";

    (void)x;
    if (ghl_file_exists("/usr/share/datasets/fashion-mnist/train-images-idx3-ubyte.gz") ||
        ghl_file_exists("/usr/share/datasets/fashion-mnist/train-images-idx3-ubyte")) {
        SAY(f, "%s", folder);
        return;
    }
    SAY(f, "not at %s", folder);
    f->hint = "on Debian and its kin: apt-get install dataset-fashion-mnist; elsewhere data.kind=synthetic needs no files";
}

static void check_cifar(const examination *x, finding *f)
{
    static const char *const folder = "data/cifar-10-batches-bin";

    (void)x;
    if (ghl_file_exists("data/cifar-10-batches-bin/test_batch.bin")) {
        SAY(f, "%s", folder);
        return;
    }
    SAY(f, "not at %s, where the recipes look for it", folder);
    f->hint = "unpack the \"CIFAR-10 binary version\" (cifar-10-binary.tar.gz) into data/";
}

static const struct {
    const char *name;
    void (*look)(const examination *x, finding *f);
} checks[] = {
    {"ghl", check_ghl},
    {"processor", check_processor},
    {"features", check_features},
    {"cores", check_cores},
    {"memory", check_memory},
    {"huge pages", check_huge_pages},
    {"libraries", check_libraries},
    {"peak", check_peak},
    {"bf16", check_bf16},
    {"gpu", check_gpu},
    {"cache", check_cache},
    {"fashion-mnist", check_fashion},
    {"cifar-10", check_cifar},
};
enum { CHECKS = sizeof checks / sizeof *checks };

/* A device that opens says itself what it is made of. One whose parts are looked for may lack a card: nothing that a hint could mend. */
static ghl_status check_device(const ghl_device *device, finding *f)
{
    const ghl_device_options options = {0};
    void *self;

    f->hint = NULL;
    ghl_status status = device->open(&options, &self);
    if (status != GHL_OK) {
        SAY(f, "cannot be used: %s", ghl_error_message());
        f->hint = device->examine == NULL ? ghl_error_hint() : NULL;
        return status;
    }
    SAY(f, "%s", device->describe ? device->describe(self) : device->summary);
    device->close(self);
    return GHL_OK;
}

typedef struct report {
    ghl_text text;
    ghl_json *json; /* NULL: text */
} report;

static void add_finding(report *r, const char *name, const finding *f)
{
    bool hinted = f->hint && f->hint[0];

    if (r->json) {
        ghl_json *o = ghl_json_add_object(r->json, name);
        ghl_json_add_text(o, "value", f->value);
        ghl_json_add_bool(o, "ok", !hinted);
        ghl_json_add_text(o, "hint", hinted ? f->hint : NULL);
        return;
    }
    ghl_text_add(&r->text, "%-2s %-14s %s\n", hinted ? "!" : "", name, f->value);
    if (hinted)
        ghl_text_add(&r->text, "%17s  -> %s\n", "", f->hint);
}

ghl_status ghl_doctor(bool json, const ghl_host *host)
{
    report r = {.json = json ? ghl_json_create(false) : NULL};
    const ghl_device *device;
    int usable = 0;

    for (int i = 0; (device = (const ghl_device *)ghl_registry_at(&ghl_devices, i)); i++) {
        finding f = {.hint = NULL};
        char name[80];
        snprintf(name, sizeof name, "device %s", device->name);
        usable += check_device(device, &f) == GHL_OK;
        add_finding(&r, name, &f);
    }
    examination x = {.processor = ghl_processor_examine()};
    x.peak_status = ghl_peak_measure(0, 300, &x.peak);
    ghl_failure peak_failure = {.status = GHL_OK};
    ghl_failure_take(&peak_failure, x.peak_status);
    for (int i = 0; i < CHECKS; i++) {
        finding f = {.hint = NULL};
        ghl_failure_raise(&peak_failure);
        checks[i].look(&x, &f);
        add_finding(&r, checks[i].name, &f);
    }
    GHL_TRY(json ? ghl_result_json(GHL_OK, host, r.json) : ghl_result_text(GHL_OK, host, &r.text));
    if (usable == 0)
        return ghl_fail(GHL_DEVICE, "see the report", "no device can be used on this machine");
    return GHL_OK;
}
