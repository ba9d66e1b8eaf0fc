//! Reservations, allocation and freeing from several threads.

use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{RngCore, SeedableRng};

use super::support::{Volume, assert_sums};
use crate::space::{BlockRun, Space};

/// Allocates within promises only, on a volume that is nearly full all the time.
fn churn(space: &Space, seed: u64) {
    let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
    let mut owned: Vec<BlockRun> = Vec::new();
    for _ in 0..3000 {
        let (blocks, quads) = (random.next_u64() % 60, random.next_u64() % 4);
        if let Ok(mut held) = space.reserve(blocks, quads) {
            while held.blocks() > 0 && random.next_u64() % 8 > 0 {
                owned.push(space.allocate_run(&mut held, random.next_u64() % 16 + 1).unwrap());
            }
            while held.quads() > 0 && random.next_u64() % 4 > 0 {
                owned.push(BlockRun::new(space.allocate_node(&mut held).unwrap(), 4));
            }
        } else {
            let keep = owned.len() / 2;
            owned.drain(keep..).for_each(|run| space.free_now(run).unwrap());
        }
    }
    owned.into_iter().for_each(|run| space.free_now(run).unwrap());
}

#[test]
fn promises_hold_when_many_ask() {
    let volume = Volume::new(4096);
    let before = volume.space.counts();
    std::thread::scope(|scope| {
        (0..4).for_each(|seed| {
            drop(scope.spawn({
                let space = &volume.space;
                move || churn(space, seed)
            }))
        });
    });
    assert_eq!(volume.space.counts(), before);
    assert_sums(&volume.space);
}
