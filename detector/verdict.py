"""The verdict rule over score and evidence, with the name of the rule that decided."""
