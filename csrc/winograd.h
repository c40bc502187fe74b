/* Winograd's convolution F(2x2, 3x3): windows of 3 x 3 pixels, by tiles of 2 x 2 outputs. The formulas are in
 * winograd.inc, the loops over images and filters in fastnn/kernels/native/winograd.pxd.
 *
 * Both operands lie in memory as the products read them, in panels of 16 filters and groups of tiles:
 *
 *   window   u[f / 16][point][c][f % 16], the points of a row side by side where registers hold their sums at once
 *   pixels   v[i][c / 16][tile][j][c % 16], point (i, j) of the tiles of a group */
#ifndef FASTNN_WINOGRAD_H
#define FASTNN_WINOGRAD_H

#include "fastnn.h"

enum { FNN_WINOGRAD_GROUP = 6 };    /* tiles whose sums are in registers at once */

/* Where tiles read and write: images x[H,W,C], whose padded pixel (-top, -left) is the first that is read, outputs
 * y[OH,OW,F], and what happens to an output: + bias[f], + plus[same place], then relu, or 0 where of[same place] <= 0,
 * the derivative of relu told from what it gave. The last three are NULL for none, as bias is. */
typedef struct fnn_winograd_layer {
    int64_t H, W, C, OH, OW, F, top, left;
    const float *bias, *plus, *of;
    int64_t relu;
} fnn_winograd_layer;

/* Tiles are named by row and column, counted in tiles, and go on in the next row. */
struct fnn_winograd_ops {
    /* u <- G w G', the windows w[3,3,C,F] */
    void (*window)(float *u, const float *w, int64_t C, int64_t F);
    /* v <- B' d B of the patches of `count` tiles, at most FNN_WINOGRAD_GROUP */
    void (*input)(float *v, const float *x, const fnn_winograd_layer *g, int64_t row, int64_t column, int64_t count);
    /* y[those tiles, f..f+16) <- A' (u * v) A and what the layer adds; u is the panel of f */
    void (*output)(float *y, const float *v, const float *u, const fnn_winograd_layer *g, int64_t f, int64_t row,
                   int64_t column, int64_t count);
};

#endif
