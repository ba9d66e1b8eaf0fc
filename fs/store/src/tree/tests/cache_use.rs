//! The node cache under a tree.

use super::support::{Model, Volume, assert_same, key, sized_item};

fn filled(volume: &mut Volume) -> Model {
    let mut edit = volume.edit();
    let mut model = Model::new();
    for inode in 1..3000 {
        edit.put(key(inode, 0), sized_item(300)).unwrap();
        model.insert(key(inode, 0), sized_item(300));
    }
    volume.finish(edit);
    model
}

#[test]
fn what_was_written_is_read_without_the_device() {
    let mut volume = Volume::new(1 << 26);
    let model = filled(&mut volume);
    let nodes = volume.node_count as u64;
    assert_eq!(volume.store.counters().nodes, nodes);
    assert_same(volume.tree.as_ref().unwrap(), &model);
    assert_eq!(volume.store.counters().misses, 0);
    let tree = volume.reopen(1 << 26);
    assert_same(&tree, &model);
    assert_same(&tree, &model);
    let counters = volume.store.counters();
    assert_eq!((counters.misses, counters.hits), (nodes, nodes));
}

#[test]
fn a_small_cache_stays_within_its_bytes() {
    let mut volume = Volume::new(1 << 26);
    let model = filled(&mut volume);
    let all_bytes = volume.store.counters().bytes;
    let budget = 1 << 19;
    assert!(all_bytes > 2 * budget);
    let tree = volume.reopen(budget as usize);
    assert_same(&tree, &model);
    let counters = volume.store.counters();
    assert!(counters.bytes <= budget, "{counters:?}");
    assert!(counters.bytes > budget / 2, "{counters:?}");
}
