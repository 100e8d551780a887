/* SPDX-License-Identifier: MIT */
/*
 * Runs a fuzz target with the inputs in files and directories: its corpus as a
 * test, with any compiler.
 */
#include <dirent.h>
#include <string.h>

#include "bytes.h"

static unsigned long inputs;

/* Returns false where the file cannot be read. */
static bool run_file(const char *path)
{
	FILE *file = fopen(path, "rb");
	uint8_t *data = NULL;
	size_t size = 0, got;

	if (!file)
		return false;
	do {
		uint8_t *more = realloc(data, size + 4096);

		EXPECT(more);
		data = more;
		got = fread(data + size, 1, 4096, file);
		size += got;
	} while (got);
	fclose(file);
	/* Cut to its size, so that sanitizers see accesses past its end. */
	if (size)
		data = realloc(data, size);
	LLVMFuzzerTestOneInput(data, size);
	free(data);
	inputs++;
	return true;
}

static bool run_directory(DIR *directory, const char *path)
{
	struct dirent *entry;
	char name[4096];
	bool good = true;

	while (good && (entry = readdir(directory)))
		if (entry->d_name[0] != '.') {
			snprintf(name, sizeof(name), "%s/%s", path,
				 entry->d_name);
			good = run_file(name);
		}
	closedir(directory);
	return good;
}

int main(int argc, char **argv)
{
	int i;

	for (i = 1; i < argc; i++) {
		DIR *directory = opendir(argv[i]);

		if (directory ? run_directory(directory, argv[i]) :
				run_file(argv[i]))
			continue;
		perror(argv[i]);
		return 1;
	}
	printf("%s: %lu inputs\n", strrchr(argv[0], '/') ? strrchr(argv[0], '/') + 1 : argv[0],
	       inputs);
	/* Without any input the test fails. */
	return !inputs;
}
