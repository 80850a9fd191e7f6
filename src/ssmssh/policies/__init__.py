"""What AWS's IAM has to permit for what our programs call: which statements, and how they are written down. Pure.

`statement` is one statement with the sentence that says why it is there, and the limits of a policy's size; `scope` the
ARNs of the instances, documents and sessions that are meant; `needs` has the statements for each feature of the
caller's side, `node` those of the instance's. `terraform` writes the same for Terraform. `reading` says what policies
that somebody has attached permit, as far as reading them can tell, and `comparing` what of the needs is missing.
"""
