//! Parses JSON as it arrives and keeps only the first bytes of each string.

/// The position within the syntax of strings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Position {
    /// Between strings.
    Outside,
    /// In a string.
    Inside,
    /// After a backslash.
    Escaped,
    /// After `\u` with this many digits, of this value.
    Unicode(u8, u32),
}

/// The end of an element, or of the outermost array.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Boundary {
    /// No boundary.
    None,
    /// The end of an element of the outermost array.
    Element,
    /// The end of the outermost array.
    End,
}

/// Reads JSON byte by byte. Of a string longer than the limit, the limit and at most three more bytes are kept, so that
/// its length shows the cut.
#[derive(Debug)]
pub(super) struct Shortener {
    string_bytes_max: usize,
    position: Position,
    /// Decoded bytes of the current string.
    length: usize,
    is_cut: bool,
    /// Whether the first half of a surrogate pair was kept, without which the second has no meaning.
    is_half: bool,
    depth: usize,
    /// Whether the outermost value is an array that is read by elements.
    is_list: bool,
    kept: Vec<u8>,
}

impl Shortener {
    pub(super) fn new(string_bytes_max: usize) -> Self {
        let (position, length, depth, kept) = (Position::Outside, 0, 0, Vec::new());
        let (is_cut, is_half, is_list) = (false, false, false);
        Self { string_bytes_max, position, length, is_cut, is_half, depth, is_list, kept }
    }

    /// The kept bytes.
    pub(super) fn kept(&self) -> &[u8] {
        &self.kept
    }

    /// Drops the kept bytes.
    pub(super) fn clear(&mut self) {
        self.kept.clear();
    }

    /// Whether it is inside an array or object.
    pub(super) fn is_open(&self) -> bool {
        self.depth > 0
    }

    /// Reads to the end of an element or of the outermost array, whose own brackets and commas are not kept; returns
    /// the number of bytes read.
    pub(super) fn read_elements(&mut self, bytes: &[u8]) -> (usize, Boundary) {
        let mut at = 0;
        while at < bytes.len() {
            let byte = bytes[at];
            if self.position == Position::Outside {
                at += 1;
                match (byte, self.depth) {
                    (b'[', 0) => (self.depth, self.is_list) = (1, true),
                    (b',', 1) if self.is_list => return (at, Boundary::Element),
                    (b']', 1) if self.is_list => {
                        self.depth = 0;
                        return (at, Boundary::End);
                    }
                    _ => self.outside(byte),
                }
            } else {
                at += self.inside(&bytes[at..]);
            }
        }
        (at, Boundary::None)
    }

    /// Reads all bytes.
    pub(super) fn read(&mut self, bytes: &[u8]) {
        let mut at = 0;
        while at < bytes.len() {
            if self.position == Position::Outside {
                self.outside(bytes[at]);
                at += 1;
            } else {
                at += self.inside(&bytes[at..]);
            }
        }
    }

    fn outside(&mut self, byte: u8) {
        match byte {
            b'"' => {
                (self.position, self.length) = (Position::Inside, 0);
                (self.is_cut, self.is_half) = (false, false);
            }
            b'[' | b'{' => self.depth += 1,
            b']' | b'}' => self.depth = self.depth.saturating_sub(1),
            _ => {}
        }
        self.kept.push(byte);
    }

    /// Reads within a string; returns the number of bytes read.
    fn inside(&mut self, bytes: &[u8]) -> usize {
        match self.position {
            Position::Outside | Position::Inside => {
                let plain = plain_length(bytes);
                if plain > 0 {
                    self.keep(&bytes[..plain]);
                    return plain;
                }
                if bytes[0] == b'"' {
                    self.position = Position::Outside;
                    self.kept.push(b'"');
                } else {
                    self.is_cut |= self.length >= self.string_bytes_max && !self.is_half;
                    self.position = Position::Escaped;
                    self.keep_escape(b'\\');
                }
            }
            Position::Escaped => {
                self.keep_escape(bytes[0]);
                let is_unicode = bytes[0] == b'u';
                self.position = if is_unicode { Position::Unicode(0, 0) } else { Position::Inside };
                if !is_unicode {
                    self.length += 1;
                    self.is_half = false;
                }
            }
            Position::Unicode(digits, value) => {
                self.keep_escape(bytes[0]);
                let value = value * 16 + char::from(bytes[0]).to_digit(16).unwrap_or_default();
                self.position = if digits == 3 { Position::Inside } else { Position::Unicode(digits + 1, value) };
                if digits == 3 {
                    self.length += match value {
                        0..0x80 => 1,
                        0x80..0x800 | 0xD800..0xE000 => 2,
                        _ => 3,
                    };
                    self.is_half = (0xD800..0xDC00).contains(&value);
                }
            }
        }
        1
    }

    /// Cuts at a character boundary.
    fn keep(&mut self, plain: &[u8]) {
        self.is_half = false;
        if self.is_cut {
            return;
        }
        let capacity = self.string_bytes_max.saturating_sub(self.length).min(plain.len());
        let is_inner = |byte: &u8| byte & 0b1100_0000 == 0b1000_0000;
        let end = plain[capacity..].iter().position(|byte| !is_inner(byte)).map_or(plain.len(), |more| capacity + more);
        self.is_cut = end < plain.len();
        self.length += end;
        self.kept.extend_from_slice(&plain[..end]);
    }

    fn keep_escape(&mut self, byte: u8) {
        if !self.is_cut {
            self.kept.push(byte);
        }
    }
}

/// The number of bytes that are scanned at a time for a quote or a backslash.
const STRIDE: usize = 1024;

/// The number of bytes before a quote or a backslash. Most of a long text has neither, and is scanned by whole strides.
fn plain_length(bytes: &[u8]) -> usize {
    let is_plain = |stride: &&[u8]| !stride.contains(&b'"') && !stride.contains(&b'\\');
    let start = bytes.chunks(STRIDE).take_while(is_plain).count() * STRIDE;
    let Some(rest) = bytes.get(start..) else { return bytes.len() };
    rest.iter().position(|byte| matches!(byte, b'"' | b'\\')).map_or(bytes.len(), |at| start + at)
}
