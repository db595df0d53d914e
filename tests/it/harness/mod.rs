//! The outside world, modelled: small, strict, and able to fail.

pub(crate) mod github;
