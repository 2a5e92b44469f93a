//! Inputs that grow: each family is one way to hurt a parser.

/// A family of inputs.
#[derive(Clone, Copy)]
pub struct Family {
    /// What grows.
    pub name: &'static str,
    /// An input of about that many bytes.
    pub make: fn(usize) -> Vec<u8>,
}

impl std::fmt::Debug for Family {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

/// `piece` again and again, up to about `size` bytes, between head and tail.
#[must_use]
pub fn filled(head: &[u8], piece: &[u8], tail: &[u8], size: usize) -> Vec<u8> {
    let count = size.saturating_sub(head.len() + tail.len()) / piece.len().max(1);
    let mut all = head.to_vec();
    all.extend(piece.repeat(count));
    all.extend_from_slice(tail);
    all
}

/// Pieces that differ by a number.
#[must_use]
pub fn numbered(head: &str, piece: impl Fn(usize) -> String, tail: &str, size: usize) -> Vec<u8> {
    let mut all = head.to_owned();
    let mut number = 0;
    while all.len() + tail.len() < size {
        all.push_str(&piece(number));
        number += 1;
    }
    all.push_str(tail);
    all.into_bytes()
}
