//! Power losses: after any of them the volume mounts, checks clean, and has the state of one delta, no
//! older than the last acknowledged.
//!
//! Random runs first (`BRAIDFS_CRASH_RUNS` sets how many; `cargo run --release -p braidfs-tests --bin
//! crash-campaign` runs thousands), then the scenarios that programs rely on, each by name.

use braidfs_block::Event;
use braidfs_tests::crash::bounded::{explore_pairs, operations, run};
use braidfs_tests::crash::{Effort, Recorder, Run, Setup, explore};
use braidfs_tests::steps::{Data, Scale, Step, Steps};

/// Random runs, if the environment does not say otherwise.
const RUNS: u64 = 36;
const STEPS: usize = 40;

fn runs() -> u64 {
    let wanted = std::env::var("BRAIDFS_CRASH_RUNS").ok();
    wanted.map_or(RUNS, |count| count.parse().expect("BRAIDFS_CRASH_RUNS is a number"))
}

fn check_random(seeds: impl Iterator<Item = u64>, setup: &Setup, effort: &Effort) {
    for seed in seeds {
        let run = Recorder::random(seed, STEPS, setup);
        explore(&run, effort).assert_sound(&run);
    }
}

fn path(name: &str) -> String {
    format!("/{name}")
}

fn create(name: &str) -> Step {
    Step::Create { path: path(name), mode: 0o644 }
}

fn write(name: &str, offset: u64, length: u64, seed: u64) -> Step {
    Step::Write { path: path(name), offset, data: Data { length, seed } }
}

fn fsync(name: &str) -> Step {
    Step::Fsync { path: path(name) }
}

fn rename(from: &str, to: &str) -> Step {
    Step::Rename { from: path(from), to: path(to) }
}

/// Runs the steps, goes through the images, and returns the run for a closer look.
fn scenario(name: &str, steps: impl IntoIterator<Item = Step>) -> Run {
    scenario_on(name, &Setup::default(), &Effort::thorough(), steps)
}

fn scenario_on(
    name: &str,
    setup: &Setup,
    effort: &Effort,
    steps: impl IntoIterator<Item = Step>,
) -> Run {
    let mut recorder = Recorder::new(name, setup);
    recorder.apply_all(steps);
    let run = recorder.finish();
    explore(&run, effort).assert_sound(&run);
    run
}

/// The content of a file at each delta at which it is there.
fn contents<'a>(run: &'a Run, name: &str) -> Vec<&'a [u8]> {
    let path = path(name);
    let seen = run.states.values().filter_map(|tree| tree.get(&path));
    seen.map(|seen| seen.content.as_slice()).collect()
}

#[test]
fn random_runs_survive_power_losses() {
    check_random(0..runs() / 2, &Setup::default(), &Effort::small());
}

#[test]
fn random_runs_survive_power_losses_that_reorder_blocks() {
    let effort = Effort { split_writes: true, ..Effort::small() };
    check_random(1000..1000 + runs() / 4, &Setup::default(), &effort);
}

#[test]
fn random_runs_on_a_short_log_survive_power_losses() {
    let setup = Setup { log_blocks: 64, ..Setup::default() };
    check_random(2000..2000 + runs() / 4, &setup, &Effort::small());
}

#[test]
fn single_operations_survive_power_losses() {
    for operation in operations() {
        for commit in [Step::Sync, fsync("a/x")] {
            let run = run(&[&operation], &commit);
            explore(&run, &Effort::thorough()).assert_sound(&run);
        }
    }
}

#[test]
fn pairs_of_operations_survive_power_losses() {
    // A prime stride goes through all operations in both places; the campaign does all pairs.
    let stride = 11;
    let tally = explore_pairs(0, stride, &mut |run, tally| tally.assert_sound(run));
    assert!(tally.images > 500);
}

#[test]
fn a_run_is_the_same_every_time() {
    let shape = |seed| {
        let run = Recorder::random(seed, STEPS, &Setup::default());
        let events = run.recording.events().iter();
        let shape = events.map(|event| match event {
            Event::Write { write, .. } => (write.offset, write.length),
            Event::Flush { .. } => (0, 0),
            Event::Mark(mark) => (1, mark.value),
        });
        shape.collect::<Vec<_>>()
    };
    for seed in 0..4 {
        assert!(shape(seed) == shape(seed), "seed {seed} writes something else each time");
    }
}

#[test]
fn replacing_by_rename_is_safe_without_fsync() {
    let run = scenario(
        "replace by rename",
        [
            create("config"),
            write("config", 0, 9000, 1),
            Step::Sync,
            create("config.new"),
            write("config.new", 0, 7000, 2),
            rename("config.new", "config"),
            // Somebody else's fsync takes the rename, and must take the new content with it.
            create("other"),
            fsync("other"),
        ],
    );
    let old = Data { length: 9000, seed: 1 }.bytes();
    let new = Data { length: 7000, seed: 2 }.bytes();
    let seen = contents(&run, "config");
    assert!(seen.contains(&&old[..]) && seen.last() == Some(&&new[..]));
    assert!(seen.iter().all(|content| *content == old || *content == new));
}

#[test]
fn what_is_appended_and_fsynced_is_there() {
    let append = |n: u64| [write("log", n * 1000, 1000, n + 1), fsync("log")];
    let steps = [create("log")].into_iter().chain((0..12).flat_map(append));
    let run = scenario("append and fsync", steps);
    let lengths: Vec<usize> = contents(&run, "log").iter().map(|content| content.len()).collect();
    assert_eq!(lengths, (1..=12).map(|n| n * 1000).collect::<Vec<_>>());
}

#[test]
fn a_block_is_overwritten_whole_or_not_at_all() {
    let overwrite = |n: u64| [write("file", 8192, 4096, n + 2), fsync("file")];
    let start = [create("file"), write("file", 0, 5 * 4096, 1), Step::Sync, Step::Unify];
    scenario("overwrite", start.into_iter().chain((0..8).flat_map(overwrite)));
}

#[test]
fn what_was_cut_off_does_not_come_back() {
    let cut = |size| Step::Truncate { path: path("file"), size };
    scenario(
        "cut, then extend",
        [
            create("file"),
            write("file", 0, 30_000, 1),
            Step::Sync,
            cut(5000),
            fsync("file"),
            cut(40_000),
            fsync("file"),
            Step::Unify,
            cut(4096),
            cut(20_000),
            Step::Sync,
            Step::Unify,
        ],
    );
}

#[test]
fn files_deleted_while_open_are_gone_after_a_loss() {
    let hold = |holder, name: &str| Step::Hold { holder, path: path(name) };
    let run = scenario(
        "orphans",
        [
            create("by handle"),
            create("by cache"),
            write("by handle", 0, 20_000, 1),
            write("by cache", 0, 500, 2),
            Step::Sync,
            hold(0, "by cache"),
            hold(1, "by handle"),
            Step::Unlink { path: path("by handle") },
            Step::Unlink { path: path("by cache") },
            Step::Sync,
            Step::WriteHeld { holder: 1, offset: 50_000, data: Data { length: 9000, seed: 3 } },
            Step::Sync,
            Step::Unify,
            Step::Release { holder: 1 },
            create("next"),
            Step::Sync,
            Step::Release { holder: 0 },
            Step::Sync,
            Step::Unify,
        ],
    );
    assert!(run.states.values().last().is_some_and(|tree| tree.len() == 2));
}

#[test]
fn fsync_of_one_file_leaves_the_data_of_others_where_it_is() {
    let run = scenario(
        "fsync of one",
        [
            create("one"),
            create("two"),
            write("one", 0, 6000, 1),
            write("two", 0, 6000, 2),
            fsync("one"),
            write("two", 6000, 6000, 3),
            write("one", 6000, 100, 4),
            fsync("one"),
            Step::Sync,
        ],
    );
    let sizes: Vec<usize> = contents(&run, "two").iter().map(|content| content.len()).collect();
    assert_eq!(sizes, [0, 0, 12_000], "two has its name with one's delta, its data with the sync");
}

#[test]
fn a_chain_of_renames_is_seen_from_one_side_or_the_other() {
    let start = (0..4).map(|n| create(&format!("f{n}")));
    let fill = (0..4).map(|n| write(&format!("f{n}"), 0, 3000 + n, n + 1));
    let chain = (0..3).rev().flat_map(|n| {
        let (from, to) = (format!("f{n}"), format!("f{}", n + 1));
        [rename(&from, &to), create(&from), Step::Fsync { path: String::new() }]
    });
    let swap = [Step::Exchange { from: path("f0"), to: path("f3") }, Step::Sync];
    scenario("renames", start.chain(fill).chain([Step::Sync]).chain(chain).chain(swap));
}

#[test]
fn directories_move_whole() {
    let mkdir = |name: &str| Step::Mkdir { path: path(name), mode: 0o755 };
    let directory = || Step::Fsync { path: String::new() };
    scenario(
        "directories",
        [
            mkdir("a"),
            mkdir("a/b"),
            create("a/b/file"),
            write("a/b/file", 0, 5000, 1),
            directory(),
            mkdir("c"),
            rename("a/b", "c/b"),
            directory(),
            rename("c", "a/c"),
            directory(),
            Step::Unify,
            Step::Exchange { from: path("a/c"), to: path("a/c/b/file") },
            Step::Unlink { path: path("a/c/b/file") },
            Step::Rmdir { path: path("a/c/b") },
            Step::Sync,
        ],
    );
}

#[test]
fn unify_between_fsyncs_loses_nothing() {
    let round = |n: u64| {
        let name = format!("f{}", n % 3);
        let first = if n < 3 { vec![create(&name)] } else { vec![] };
        let rest = [write(&name, n * 3000, 9000, n + 1), fsync(&name)];
        let fold = if n % 2 == 1 { vec![Step::Unify] } else { vec![] };
        first.into_iter().chain(rest).chain(fold)
    };
    let effort = Effort { damaged: 6, ..Effort::thorough() };
    scenario_on("unify between fsyncs", &Setup::default(), &effort, (0..10).flat_map(round));
}

#[test]
fn the_log_goes_round_and_round() {
    let setup = Setup { log_blocks: 64, ..Setup::default() };
    // 16 pages go into the log whole: four such fsyncs fill it.
    let round = |n: u64| [write("file", (n % 3) * 4096, 15 * 4096, n + 1), fsync("file")];
    let steps = [create("file")].into_iter().chain((0..24).flat_map(round));
    let effort = Effort { damaged: 1, ..Effort::small() };
    let run = scenario_on("a log that wraps", &setup, &effort, steps);
    assert!(run.states.len() > 24);
}

#[test]
fn freed_blocks_are_not_used_again_too_early() {
    // Large enough for blocks of their own, overwritten again and again on a small volume.
    let round = |n: u64| [write("file", 0, 40 * 4096, n + 1), fsync("file")];
    let steps = [create("file")].into_iter().chain((0..12).flat_map(round));
    let effort = Effort { split_writes: true, damaged: 3, ..Effort::small() };
    scenario_on("overwritten again and again", &Setup::default(), &effort, steps);
}

#[test]
fn volumes_with_many_names_survive_power_losses() {
    let setup = Setup { scale: Scale::Wide, ..Setup::default() };
    let effort = Effort { sampled_subsets: 4, damaged: 1, ..Effort::small() };
    for seed in 3000..3000 + runs() / 12 {
        let run = Recorder::random(seed, 500, &setup);
        explore(&run, &effort).assert_sound(&run);
    }
}

/// Freed blocks are used again at once, and every other commit folds the log to find some.
#[test]
fn a_volume_that_is_nearly_full_survives_power_losses() {
    let mut images = 0;
    for seed in 0..4 {
        let mut recorder = Recorder::new(&format!("nearly full, seed {seed}"), &Setup::default());
        fill_up(&mut recorder, 40);
        let mut steps = Steps::new(seed, false);
        for _ in 0..120 {
            let step = steps.next(&recorder.world.model);
            // These may stop half-way, and say how far they came.
            if !matches!(step, Step::Copy { .. } | Step::Zero { .. }) {
                recorder.apply_when_nearly_full(&step);
            }
        }
        let run = recorder.finish();
        let tally = explore(&run, &Effort::small());
        tally.assert_sound(&run);
        images += tally.images;
    }
    assert!(images > 300, "{images} images");
}

/// Takes all but about so many blocks, by a file without a name and without anything to read.
fn fill_up(recorder: &mut Recorder, blocks: u64) {
    recorder.apply(&create("ballast"));
    let available = recorder.world.volume.statfs().blocks_available;
    let length = (available - blocks) * 4096;
    recorder.apply(&Step::Allocate { path: path("ballast"), offset: 0, length });
    recorder.apply(&Step::Hold { holder: 9, path: path("ballast") });
    recorder.apply(&Step::Unlink { path: path("ballast") });
    recorder.apply(&Step::Sync);
}
