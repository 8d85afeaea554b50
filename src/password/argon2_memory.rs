//! The memory that hashes are made in.

use argon2::{Algorithm, Argon2, Block, Params, Version};
use zeroize::Zeroize;

/// The memory that one hash after another is made in.
///
/// New memory costs a third of a hash's time in page faults, and freed memory does not always return to the system, so
/// one buffer is kept. Every block is written before it is read, so no data of one hash gets into the next; the buffer
/// is wiped when it is freed.
#[derive(Default)]
pub(crate) struct Argon2Memory(Vec<Block>);

impl Argon2Memory {
    /// The tag of `bytes`, as long as `tag`, or `None` if argon2 does not accept the parameters.
    pub(super) fn hash(
        &mut self,
        algorithm: Algorithm,
        version: Version,
        params: &Params,
        (bytes, salt): (&[u8], &[u8]),
        tag: &mut [u8],
    ) -> Option<()> {
        let blocks = params.block_count();
        if self.0.len() < blocks {
            // Let go first: growing would hold both for a moment.
            self.release();
            self.0 = vec![Block::new(); blocks];
        }
        Argon2::new(algorithm, version, params.clone())
            .hash_password_into_with_memory(bytes, salt, tag, &mut self.0[..blocks])
            .ok()
    }

    /// Lets go what is above `limit` KiB.
    pub(crate) fn shrink_to(&mut self, limit: u32) {
        if self.0.len() > usize::try_from(limit).unwrap_or(usize::MAX) {
            self.release();
        }
    }

    /// Wipes the memory and lets it go.
    pub(crate) fn release(&mut self) {
        for block in &mut self.0 {
            block.zeroize();
        }
        self.0 = Vec::new();
    }

    /// KiB held.
    #[cfg(test)]
    pub(crate) fn size(&self) -> usize {
        self.0.len()
    }
}

impl Drop for Argon2Memory {
    fn drop(&mut self) {
        self.release();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tag(memory: &mut Argon2Memory, kib: u32) -> [u8; 32] {
        let params = Params::new(kib, 1, 1, Some(32)).expect("parameters");
        let mut tag = [0; 32];
        memory
            .hash(
                Algorithm::Argon2id,
                Version::V0x13,
                &params,
                (b"password", &[7; 16]),
                &mut tag,
            )
            .expect("a tag");
        tag
    }

    #[test]
    fn memory_is_kept_from_hash_to_hash_and_nothing_of_one_gets_into_the_next() {
        let mut memory = Argon2Memory::default();
        let mut sizes = Vec::new();
        for kib in [16, 8, 64, 16] {
            assert_eq!(
                tag(&mut memory, kib),
                tag(&mut Argon2Memory::default(), kib),
                "{kib} KiB"
            );
            sizes.push(memory.size());
        }
        assert_eq!(sizes, [16, 16, 64, 64]);
        memory.shrink_to(64);
        assert_eq!(memory.size(), 64);
        memory.shrink_to(63);
        assert_eq!(memory.0.capacity(), 0);
    }
}
