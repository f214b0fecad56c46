"""Running a study: processes, Ray, control, progress and cost."""
