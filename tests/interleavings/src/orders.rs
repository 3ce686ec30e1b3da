//! Number of orders in which a test runs: all of them, or a sample.

use shuttle::scheduler::{DfsScheduler, PctScheduler, RandomScheduler, Scheduler};
use shuttle::{Config, Runner};

/// Runs by each sampling scheduler of a test that is too large for all orders.
const SAMPLES: usize = 4_000;
/// Changes of priority in a sampled order, which is the depth of the bugs that it finds.
const DEPTH: usize = 3;

/// Runs a test in all orders.
pub(crate) fn all(test: impl Fn() + Send + Sync + 'static) -> usize {
    run(DfsScheduler::new(None, false), test)
}

/// Runs a test in a sample of orders, drawn in two ways.
pub(crate) fn some(test: impl Fn() + Send + Sync + Clone + 'static) {
    run(PctScheduler::new(DEPTH, SAMPLES), test.clone());
    run(RandomScheduler::new(SAMPLES), test);
}

fn run(scheduler: impl Scheduler + 'static, test: impl Fn() + Send + Sync + 'static) -> usize {
    let orders = Runner::new(scheduler, Config::default()).run(test);
    println!("{orders} orders");
    assert!(orders > 1, "nothing was interleaved");
    orders
}
