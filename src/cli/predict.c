/* SPDX-License-Identifier: Apache-2.0
 *
 * ghl predict: which classes images are of, by a checkpoint.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"

typedef struct arguments {
    int64_t top;
    bool json;
} arguments;

static const ghl_cli_option options[] = {
    {.name = "json", .type = GHL_CLI_FLAG, .offset = offsetof(arguments, json), .doc = "Print JSON"},
    {.name = "top", .arg = "K", .type = GHL_CLI_COUNT, .offset = offsetof(arguments, top), .about = "classes",
     .doc = "So many classes an image, the likeliest first (default: 5)"},
    {0},
};

/* "key=value", unless there is a file of that name: files may be called as they like. */
static bool is_setting(const char *word)
{
    const char *equals = strchr(word, '=');
    return equals != NULL && equals != word && memchr(word, '/', (size_t)(equals - word)) == NULL && access(word, F_OK) != 0;
}

/* Moves the settings behind the images; returns the number of images. */
static int sort_words(const char **words, int n)
{
    int images = 0;
    for (int i = 0; i < n; i++) {
        const char *word = words[i];
        if (is_setting(word))
            continue;
        memmove(words + images + 1, words + images, (size_t)(i - images) * sizeof *words);
        words[images++] = word;
    }
    return images;
}

static int run(int argc, char **argv)
{
    static const ghl_cli_syntax syntax = {
        .words = "RUN|CHECKPOINT IMAGE ... [key=value ...]",
        .about = "Says which classes images (JPEG, PNG) are of, by a checkpoint file or best.safetensors of a run's folder. Images are "
                 "prepared as the checkpoint's recipe prepares those it is tested on. Settings override that recipe.",
        .options = options,
        .words_only = true,
    };
    arguments a = {0};
    ghl_cli_words words;

    ghl_cli_parse(&ghl_command_predict, &syntax, argc, argv, &a, &words);
    const int images = sort_words(words.settings, words.n);
    if (images == 0)
        ghl_cli_refuse("ghl predict RUN|CHECKPOINT IMAGE ...", "predict: IMAGE is missing");
    const ghl_predict_options settings = {.n = words.n - images, .settings = words.settings + images, .top = a.top, .json = a.json};
    ghl_status status = ghl_predict(words.first, images, words.settings, &settings, ghl_cli_host());
    free(words.settings);
    return ghl_cli_finish(status);
}

const ghl_command ghl_command_predict = {.name = "predict", .summary = "says which classes images are of", .run = run};
