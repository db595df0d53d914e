//! HTTP clients of parts that may never ask anybody.

use std::{fmt, sync::OnceLock};

use reqwest::ClientBuilder;

/// An HTTP client that is made when it is first needed: a machine's certificates take 20 ms to read, and many a process
/// needs none of them.
pub struct LateClient {
    made: OnceLock<reqwest::Client>,
    make: Box<dyn Fn() -> ClientBuilder + Send + Sync>,
}

impl LateClient {
    /// One that will be made like this.
    pub fn new(make: impl Fn() -> ClientBuilder + Send + Sync + 'static) -> Self {
        Self { made: OnceLock::new(), make: Box::new(make) }
    }

    /// The client.
    ///
    /// # Errors
    /// If TLS cannot be set up, such as on a machine without certificates.
    pub fn get(&self) -> reqwest::Result<&reqwest::Client> {
        match self.made.get() {
            Some(client) => Ok(client),
            None => {
                let client = (self.make)().build()?;
                Ok(self.made.get_or_init(|| client))
            }
        }
    }
}

impl fmt::Debug for LateClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("LateClient").field(&self.made.get()).finish()
    }
}
