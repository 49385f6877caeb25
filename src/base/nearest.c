/* SPDX-License-Identifier: Apache-2.0
 *
 * The name that somebody probably meant: Damerau-Levenshtein distance in its restricted form (insert, delete, replace, swap two
 * neighbours; no letter is edited twice), letters compared without regard to case.
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/options.h"

enum { WORD = 64 };

static int smallest(int a, int b)
{
    return a < b ? a : b;
}

static int distance(const char *a, const char *b)
{
    const int n = (int)strlen(a), m = (int)strlen(b);
    int rows[3][WORD + 1]; /* of the table: this one and the two before */
    for (int j = 0; j <= m; j++)
        rows[0][j] = j;
    for (int i = 1; i <= n; i++) {
        int *row = rows[i % 3], *above = rows[(i + 2) % 3], *above2 = rows[(i + 1) % 3];
        row[0] = i;
        for (int j = 1; j <= m; j++) {
            int x = tolower((unsigned char)a[i - 1]), y = tolower((unsigned char)b[j - 1]);
            row[j] = smallest(smallest(above[j], row[j - 1]) + 1, above[j - 1] + (x != y));
            if (i > 1 && j > 1 && x == tolower((unsigned char)b[j - 2]) && y == tolower((unsigned char)a[i - 2]))
                row[j] = smallest(row[j], above2[j - 2] + 1);
        }
    }
    return rows[n % 3][m];
}

const char *ghl_nearest(const char *word, const char *const *candidates, int n)
{
    const size_t length = strlen(word);
    if (length == 0 || length > WORD)
        return NULL;
    const char *best = NULL;
    int best_distance = 0;
    for (int i = 0; i < n; i++) {
        const size_t other = strlen(candidates[i]);
        if (other == 0 || other > WORD)
            continue;
        int d = distance(word, candidates[i]);
        /* A third of the letters may be wrong, but not all of them; a beginning of three letters or more counts as near. */
        const int longer = (int)(length > other ? length : other);
        bool near = d <= (longer + 2) / 3 && d < longer;
        if (!near && length >= 3 && length < other && strncasecmp(word, candidates[i], length) == 0)
            near = true;
        if (near && (best == NULL || d < best_distance)) {
            best = candidates[i];
            best_distance = d;
        }
    }
    return best;
}
