//! Text as PostgreSQL takes it. A NUL is a character like any other to Rust and SQLite, and what comes from outside may
//! hold one; PostgreSQL refuses it, and a delivery or a log must not fail for that.

use sqlx::{
    Encode, Postgres, Type,
    encode::IsNull,
    error::BoxDynError,
    postgres::{PgArgumentBuffer, PgTypeInfo},
};

/// What stands where a NUL stood: the sign for what cannot be shown.
const INSTEAD: &str = "\u{fffd}";

/// A value whose text has no NUL.
pub(in crate::store) struct Clean<T>(pub(in crate::store) T);

impl<T: Type<Postgres>> Type<Postgres> for Clean<T> {
    fn type_info() -> PgTypeInfo {
        T::type_info()
    }
    fn compatible(ty: &PgTypeInfo) -> bool {
        T::compatible(ty)
    }
}

impl<'q, T: Encode<'q, Postgres> + Type<Postgres>> Encode<'q, Postgres> for Clean<T> {
    fn encode_by_ref(&self, buf: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        let start = buf.len();
        let is_null = self.0.encode_by_ref(buf)?;
        let is_text = self.produces().unwrap_or_else(T::type_info) == <str as Type<Postgres>>::type_info();
        if is_text && buf[start..].contains(&0) {
            let cleaned = text(String::from_utf8_lossy(&buf[start..]).into_owned());
            buf.truncate(start);
            buf.extend_from_slice(cleaned.as_bytes());
        }
        Ok(is_null)
    }

    fn produces(&self) -> Option<PgTypeInfo> {
        self.0.produces()
    }

    fn size_hint(&self) -> usize {
        self.0.size_hint()
    }
}

/// The same without NULs.
pub(in crate::store) fn text(text: String) -> String {
    if text.contains('\0') { text.replace('\0', INSTEAD) } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded<'q, T: Encode<'q, Postgres> + Type<Postgres>>(value: T) -> Vec<u8> {
        let mut buf = PgArgumentBuffer::default();
        let _ = Clean(value).encode_by_ref(&mut buf).expect("it is encoded");
        buf.to_vec()
    }

    #[test]
    fn text_loses_its_nuls_and_bytes_and_numbers_keep_theirs() {
        assert_eq!(encoded("a\0b"), "a\u{fffd}b".as_bytes());
        assert_eq!(encoded(Some("a\0".to_owned())), "a\u{fffd}".as_bytes());
        assert_eq!(encoded("plain ünïcode"), "plain ünïcode".as_bytes());
        assert_eq!(encoded(&b"a\0b"[..]), b"a\0b");
        assert_eq!(encoded(7_i64), [0, 0, 0, 0, 0, 0, 0, 7]);
    }
}
