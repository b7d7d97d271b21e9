"""Raw tables as others write them: formats, encodings, ids, texts and times, read into typed columns."""
