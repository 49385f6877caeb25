/* SPDX-License-Identifier: Apache-2.0
 *
 * net.h - a net: an array of nodes in topological order. Building it computes nothing.
 */
#ifndef GHL_NET_NET_H
#define GHL_NET_NET_H

#include "base/registry.h"
#include "tensor/tensor.h"

/* While a net is built, somebody may have other options for its layers than the model: `adjust` returns the map that is parsed in the
 * place of what was written; it lives until the next call. */
typedef struct ghl_net_adjuster {
    ghl_status (*adjust)(void *user, const char *name, const ghl_layer *kind, const ghl_value *written, const ghl_value **out);
    void *user;
} ghl_net_adjuster;

struct ghl_net {
    char *name;
    ghl_node **nodes;
    int count, capacity;
    const ghl_weight **all; /* weights and buffers in the order of nodes; they lie in the nodes */
    int weights, weights_capacity;
    int references;
    const ghl_net_adjuster *adjuster; /* borrowed; NULL: none */
};

/* ghl_net_add on one node, with formatted options: ghl_net_addf(net, GHL_NET_LAST, "conv1", "conv", "channels: %d, kernel: 5", 96). */
enum { GHL_NET_LAST = -1 };
ghl_status ghl_net_addf(ghl_net *net, int on, const char *name, const char *kind, const char *format, ...)
    __attribute__((format(printf, 5, 6)));
const ghl_node *ghl_net_last(const ghl_net *net);
/* Weight number i of the net, in the order of nodes. */
const ghl_weight *ghl_net_weight(const ghl_net *net, int i);
/* Shares a net: it is freed with its last reference, and a shared net takes no more nodes. */
ghl_net *ghl_net_share(const ghl_net *net);

/* A node by itself, as the plan's loss: checks its inputs, parses options (flow text or NULL), infers its shape. */
ghl_status ghl_node_create(const char *name, const char *kind, int n_inputs, const ghl_node *const *inputs, const char *options,
                           const ghl_net_adjuster *adjuster /* or NULL */, ghl_node **out);
void ghl_node_free(ghl_node *node);

#endif
