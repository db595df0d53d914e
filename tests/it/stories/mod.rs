//! Stories of the whole service: a webhook in, a check and a page out, and the pods between as the story wants them.

mod green;
