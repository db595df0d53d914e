//! The program in every pod, and the protocol it speaks with the server.
//!
//! An agent knows a URL and its job's token. It claims its turn, gets everything else in the answer, runs the job, and
//! tells the server what happened until the server has acknowledged it.

pub mod protocol;
