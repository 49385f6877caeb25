/* SPDX-License-Identifier: Apache-2.0
 *
 * A rule that lives outside the tree of ghl: GHL without Oja's decay.
 *
 *     h = |p| / max|p|,  p = r^T x,  r = softmax(t u);   w <- w - lr (h sign(g) + wd w)
 *
 *     cc -shared -fPIC plugin_hebb.c $(pkg-config --cflags ghl) -o plugin_hebb.so
 *     in a recipe:   plugins: [./plugin_hebb.so]      learn: {conv: {rule: hebb_sign, lr: 1e-2, inverse_temperature: 0.5}}
 */
#include <ghl_ext.h>

typedef struct hebb_options {
    double inverse_temperature;
} hebb_options;

static const ghl_option hebb_rows[] = {
    {.name = "inverse_temperature", .type = GHL_OPTION_REAL, .offset = offsetof(hebb_options, inverse_temperature), .fallback = "1",
     .min = 0, .max = 1e6, .help = "factor of the pre-activations before the softmax over channels"},
    {0}};

static ghl_status hebb_emit(ghl_emitter *em, const ghl_weight *w, const void *options)
{
    const hebb_options *o = options;
    ghl_attributes heat = {.softmax.inverse_temperature = (float)o->inverse_temperature};
    ghl_attributes power = {.direction.power = 1};

    ghl_tensor u = ghl_emit_preactivation(em, w);                                         /* [N,P,Q,K] */
    ghl_tensor r = ghl_emit_like(em, GHL_OP_softmax_channels, &heat, 1, &u, 0);           /* [N,P,Q,K] */
    ghl_tensor p = ghl_emit_product(em, w, r);                                            /* [K,R,S,C] */
    ghl_tensor s = ghl_emit_scale(em, p, GHL_SCALE_MAX, GHL_SCOPE_LAYER);                 /* [1,1,1,1] */
    ghl_tensor g = ghl_emit_gradient(em, w);                                              /* [K,R,S,C] */
    ghl_emit_export(em, w, "local", p);
    ghl_emit_direction(em, w, ghl_emit_like(em, GHL_OP_direction, &power, 3, (ghl_tensor[]){g, p, s}, 0));
    return GHL_OK;
}

static const ghl_rule hebb = {
    .name = "hebb_sign",
    .summary = "Hebbian product of softmax responses, without decay, in the direction of the gradient's sign",
    .source = "Hua et al. 2026, eq. 4-6, without the decay term",
    .options = hebb_rows,
    .options_size = sizeof(hebb_options),
    .emit = hebb_emit,
};

/* What ghl calls after loading the plug-in. */
GHL_API ghl_status ghl_plugin_register(void);
ghl_status ghl_plugin_register(void)
{
    return ghl_register_rule(&hebb);
}
