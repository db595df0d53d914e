//! GitHub's side of the seam.
