"""Running a study: worker processes, Ray, control, progress and cost."""
