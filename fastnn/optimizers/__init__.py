"""Update rules (optimizers) and, in `schedules`, learning rates that change with the step."""
