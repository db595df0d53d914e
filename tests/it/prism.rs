//! Every call once against GitHub's own description.
