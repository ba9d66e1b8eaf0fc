//! Random change sets, made durable, unified and replayed at any time, against the model.

use std::sync::Arc;

use proptest::prelude::*;

use super::harness::{Harness, MIB, compare, compare_inode_count, formatted, open_read_only};
use super::model::Edit;
use super::model_edits::edits;

#[derive(Debug, Clone)]
enum Step {
    Publish(Vec<Edit>),
    Durable,
    Unify,
    Reclaim,
    Reopen,
    Close,
    Check,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => edits().prop_map(Step::Publish),
        4 => Just(Step::Durable),
        2 => Just(Step::Unify),
        1 => Just(Step::Reclaim),
        1 => Just(Step::Reopen),
        1 => Just(Step::Close),
        2 => Just(Step::Check),
    ]
}

fn run(harness: &mut Harness, step: &Step) {
    match step {
        Step::Publish(edits) => {
            harness.publish(edits);
        }
        Step::Durable => harness.store.make_durable(harness.store.next_delta() - 1).unwrap(),
        Step::Unify => harness.store.unify().unwrap(),
        Step::Reclaim => harness.store.reclaim().unwrap(),
        Step::Reopen => {
            harness.reopen();
        }
        Step::Close => {
            harness.store.close().unwrap();
            let report = harness.reopen();
            assert!(report.clean && report.deltas == 0, "{report:?}");
        }
        Step::Check => compare(&harness.store, harness.model()),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, ..ProptestConfig::default() })]

    #[test]
    fn the_store_equals_the_model(steps in prop::collection::vec(step(), 1..60)) {
        let mut harness = Harness::new(formatted(32 * MIB, Some(64)));
        for step in &steps {
            run(&mut harness, step);
        }
        harness.check();
        let (read_only, _) = open_read_only(Arc::clone(&harness.device));
        compare(&read_only, harness.model());
        harness.store.reclaim().unwrap();
        harness.check();
        compare_inode_count(&harness.store, harness.model());
    }
}
