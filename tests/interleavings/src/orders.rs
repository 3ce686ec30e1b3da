//! How many orders a test is run in.

use shuttle::scheduler::{DfsScheduler, PctScheduler, RandomScheduler, Scheduler};
use shuttle::{Config, Runner};

/// How often each sampling scheduler runs a test that is too large for all orders.
const SAMPLES: usize = 4_000;
/// How many changes of priority a sampled order has (the depth of the bugs it looks for).
const DEPTH: usize = 3;

/// Runs it in all orders.
pub(crate) fn all(test: impl Fn() + Send + Sync + 'static) -> usize {
    run(DfsScheduler::new(None, false), test)
}

/// Runs it in a sample of orders, drawn in two ways.
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
