//! How a [`Chunk`] is written. The server reads what a pod wrote, so reading trusts nothing: not a count, not a
//! length, not what zstd says of its own size.

use super::protocol::{CHUNK_TEXT_MAX, Chunk, ChunkError, Piece, Stream};
use crate::model::Time;

/// Fast; log lines shrink to about a tenth.
const ZSTD_LEVEL: i32 = 1;
/// The length of the index, before all else.
const HEAD: usize = 4;

impl Chunk {
    /// The body of `PUT log`.
    ///
    /// # Errors
    /// [`ChunkError`] if the pieces do not add up to the text, or there is too much of it: what [`Chunk::decode`]
    /// would refuse is not written.
    pub fn encode(&self) -> Result<Vec<u8>, ChunkError> {
        if self.text.len() > CHUNK_TEXT_MAX {
            return Err(ChunkError::TooLarge);
        }
        if self.pieces.iter().map(|piece| piece.length).sum::<u64>() != self.text.len() as u64 {
            return Err(ChunkError::Damaged("its pieces do not add up to its text"));
        }
        let index = encode_index(&self.pieces);
        let length = u32::try_from(index.len()).map_err(|_| ChunkError::TooLarge)?;
        let text = zstd::bulk::compress(&self.text, ZSTD_LEVEL).map_err(|_| ChunkError::Damaged("zstd failed"))?;
        Ok([&length.to_le_bytes()[..], &index, &text].concat())
    }

    /// Reads a body of `PUT log`. No more than [`CHUNK_TEXT_MAX`] bytes are unpacked, whatever it claims.
    ///
    /// # Errors
    /// [`ChunkError`] if it is not one.
    pub fn decode(body: &[u8]) -> Result<Self, ChunkError> {
        let (index, text) = Self::parts(body)?;
        let pieces = decode_index(index)?;
        let total = total(&pieces)?;
        let text = zstd::bulk::decompress(text, total).map_err(|_| ChunkError::Damaged("its text does not unpack"))?;
        if text.len() != total {
            return Err(ChunkError::Damaged("its pieces do not add up to its text"));
        }
        Ok(Self { pieces, text })
    }

    /// A body's index and its text, as they are: the text is one zstd frame.
    ///
    /// # Errors
    /// [`ChunkError`] if the body ends too early.
    pub fn parts(body: &[u8]) -> Result<(&[u8], &[u8]), ChunkError> {
        let (head, rest) = body.split_first_chunk::<HEAD>().ok_or(ChunkError::Damaged("it has no head"))?;
        let length = u32::from_le_bytes(*head) as usize;
        rest.split_at_checked(length).ok_or(ChunkError::Damaged("its index ends too early"))
    }
}

fn total(pieces: &[Piece]) -> Result<usize, ChunkError> {
    let total = pieces.iter().try_fold(0_u64, |sum, piece| sum.checked_add(piece.length));
    match total.map(usize::try_from) {
        Some(Ok(total)) if total <= CHUNK_TEXT_MAX => Ok(total),
        Some(_) | None => Err(ChunkError::TooLarge),
    }
}

fn encode_index(pieces: &[Piece]) -> Vec<u8> {
    let mut index = Vec::with_capacity(pieces.len() * 5);
    let mut before = 0_i64;
    for piece in pieces {
        let ms = piece.time.as_millis();
        write_varint(&mut index, piece.length);
        write_varint(&mut index, zigzag(ms.wrapping_sub(before)));
        write_varint(&mut index, piece.stream.code().into());
        before = ms;
    }
    index
}

/// The pieces of a chunk's index.
///
/// # Errors
/// [`ChunkError::Damaged`] if it ends too early, or a number in it is out of range.
pub fn decode_index(mut index: &[u8]) -> Result<Vec<Piece>, ChunkError> {
    let mut pieces = Vec::new();
    let mut before = 0_i64;
    while !index.is_empty() {
        let length = read_varint(&mut index)?;
        if length == 0 {
            return Err(ChunkError::Damaged("a piece is empty"));
        }
        before = before.wrapping_add(unzigzag(read_varint(&mut index)?));
        let stream = read_varint(&mut index)?;
        let stream = u8::try_from(stream).ok().and_then(Stream::from_code);
        let stream = stream.ok_or(ChunkError::Damaged("a piece is of no known stream"))?;
        pieces.push(Piece { length, time: Time::from_millis(before), stream });
    }
    Ok(pieces)
}

impl Stream {
    /// Its number in a chunk's index.
    pub const fn code(self) -> u8 {
        match self {
            Self::Out => 0,
            Self::Err => 1,
            Self::Agent => 2,
        }
    }

    /// The stream of a number.
    pub const fn from_code(code: u8) -> Option<Self> {
        match code {
            0 => Some(Self::Out),
            1 => Some(Self::Err),
            2 => Some(Self::Agent),
            _ => None,
        }
    }
}

const fn zigzag(number: i64) -> u64 {
    ((number << 1) ^ (number >> 63)).cast_unsigned()
}

const fn unzigzag(number: u64) -> i64 {
    (number >> 1).cast_signed() ^ -((number & 1).cast_signed())
}

fn write_varint(to: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        to.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    to.push(number as u8);
}

fn read_varint(from: &mut &[u8]) -> Result<u64, ChunkError> {
    let mut number = 0_u64;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = from.split_first().ok_or(ChunkError::Damaged("a number ends too early"))?;
        *from = rest;
        let part = u64::from(byte & 0x7f);
        if part << shift >> shift != part {
            break;
        }
        number |= part << shift;
        if byte & 0x80 == 0 {
            return Ok(number);
        }
    }
    Err(ChunkError::Damaged("a number is too large"))
}
