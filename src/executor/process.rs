//! Processes of this machine, for trying out.
