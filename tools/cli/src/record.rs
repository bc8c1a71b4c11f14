//! A record as a user sees it: bytes with names. Knows nothing of how it came here.

/// One consumed record; everything is borrowed from the response that brought it.
#[derive(Debug, Clone)]
pub(crate) struct Record<'a> {
    pub(crate) topic: &'a str,
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    /// Milliseconds since 1970.
    pub(crate) timestamp: i64,
    pub(crate) key: Option<&'a [u8]>,
    pub(crate) value: Option<&'a [u8]>,
    pub(crate) headers: Vec<Header<'a>>,
}

#[derive(Debug, Clone)]
pub(crate) struct Header<'a> {
    pub(crate) key: &'a [u8],
    pub(crate) value: Option<&'a [u8]>,
}
