//! The model of the example `sunspots`, for a page: it is trained some steps at a time, forecasts the years that it has
//! not seen, and follows them month by month as a stream. All that draws is JavaScript, in `static`.

// The example's own files, of which the page needs a part.
#[allow(dead_code)]
#[path = "../../../examples/sunspots/baseline.rs"]
mod baseline;
#[allow(dead_code)]
#[path = "../../../examples/sunspots/data.rs"]
mod data;
#[allow(dead_code)]
#[path = "../../../examples/sunspots/features.rs"]
mod features;
mod follow;
#[allow(dead_code)]
#[path = "../../../examples/sunspots/model.rs"]
mod model;
#[allow(dead_code)]
#[path = "../../../examples/sunspots/score.rs"]
mod score;

use wasm_bindgen::prelude::{JsError, wasm_bindgen};
use wgpu_gru::Gpu;
use wgpu_gru::rng::SplitMix64;

use data::{Month, Series};
use features::Features;
use follow::Follower;
use model::{BATCH, Forecaster, Trainer, learning_rate};
use score::{Forecasts, HeldOut};

/// As many steps as the example takes.
const STEPS: usize = 300;
/// The example's seed.
const SEED: u64 = 1;
/// The last year to learn from.
const LAST_YEAR: usize = 1964;
/// The page draws forecasts of so many months ahead.
const AHEAD: usize = 12;
/// Origins in the training part that tell how far off forecasts are.
const ORIGINS: usize = 96;

/// The data, the model, and what is made of them.
#[derive(Debug)]
#[wasm_bindgen]
pub struct Sunspots {
    gpu: Gpu,
    series: Series,
    held_out: HeldOut,
    features: Features,
    baselines: Vec<Forecasts>,
    /// Of the held-out months, and then of the training part.
    origins: [Vec<usize>; 2],
    model: Model,
}

/// What begins anew.
#[derive(Debug)]
struct Model {
    trainer: Trainer,
    forecaster: Forecaster,
    follower: Follower,
    random: SplitMix64,
    /// The last batch.
    batch: [Vec<f32>; 2],
    steps: usize,
    forecasts: Option<Forecasts>,
}

#[wasm_bindgen]
impl Sunspots {
    /// Opens the browser's GPU.
    pub async fn open() -> Result<Self, JsError> {
        let series = Series::load()?;
        let training = series.index(Month::january(LAST_YEAR + 1))?;
        let held_out = HeldOut { months: training..series.values.len() };
        let features = Features::new(&series.values, training);
        let gpu = Gpu::new().await?;
        let baselines = score::baselines(&series, &features, &held_out);
        let origins = [held_out.origins(), held_out.training_origins(ORIGINS)];
        let model = Model::new(&gpu, &features, &held_out, &origins)?;
        Ok(Self { gpu, series, held_out, features, baselines, origins, model })
    }

    /// The adapter, as far as the browser tells, and whether it is software.
    pub fn adapter(&self) -> String {
        self.gpu.describe()
    }

    /// All numbers, a month each.
    pub fn counts(&self) -> Vec<f32> {
        self.series.values.clone()
    }

    /// The year of the first number.
    pub fn first_year(&self) -> usize {
        self.series.first.0 / 12
    }

    /// Where among the numbers those begin from which nothing is learned.
    pub fn held_out(&self) -> usize {
        self.held_out.months.start
    }

    /// Training steps that there are in all, and that are done.
    pub fn steps(&self) -> Vec<usize> {
        vec![STEPS, self.model.steps]
    }

    /// Forgets what was learned.
    pub fn forget(&mut self) -> Result<(), JsError> {
        self.model = Model::new(&self.gpu, &self.features, &self.held_out, &self.origins)?;
        Ok(())
    }

    /// Trains some steps further, at most to the end; gives the loss of the last.
    pub async fn train(&mut self, steps: usize) -> Result<f32, JsError> {
        let Model { trainer, random, batch: [x, y], steps: done, .. } = &mut self.model;
        for _ in 0..steps.min(STEPS - *done) {
            self.features.batch(self.held_out.months.start, BATCH, random, x, y);
            trainer.step(x, y, learning_rate(*done, STEPS))?;
            *done += 1;
        }
        Ok(trainer.loss().await?)
    }

    /// What the model of now says of each held-out month, a year before.
    pub async fn forecast(&mut self) -> Result<Vec<f32>, JsError> {
        let roots = self.model.forecaster.run().await?;
        let [held_out, training] = &self.origins;
        let (roots, fit) = roots.split_at(held_out.len() * features::HORIZONS);
        let forecasts = Forecasts::of_roots("GRU", &self.features, &self.held_out, roots, (training, fit));
        let months = self.held_out.months.clone().map(|month| forecasts.of(month, AHEAD) as f32).collect();
        self.model.forecasts = Some(forecasts);
        Ok(months)
    }

    /// Errors of the forecasts a year ahead, root mean square: of the last month's number, of a linear autoregression
    /// over a whole cycle, and of the model, if [`Self::forecast`] was asked.
    pub fn errors(&self) -> Vec<f64> {
        let simple = self.baselines.first().into_iter().chain(self.baselines.last());
        let all = simple.chain(&self.model.forecasts);
        all.map(|method| method.errors(&self.series, &self.held_out, AHEAD).rmse).collect()
    }

    /// Begins to follow the months from the first held-out one on; those before are heard in silence.
    pub fn follow(&mut self) -> Result<(), JsError> {
        Ok(self.model.follower.begin(&self.features, self.held_out.months.start)?)
    }

    /// The month that is heard next; the number of months at the end.
    pub fn now(&self) -> usize {
        self.model.follower.now()
    }

    /// Hears the next month, one step of the stream, and says what comes after it, with the weights of now. Nothing at
    /// the end.
    pub async fn next_month(&mut self) -> Result<Option<Vec<f32>>, JsError> {
        if self.now() >= self.series.values.len() {
            return Ok(None);
        }
        Ok(Some(self.model.follower.next(&self.features).await?))
    }
}

impl Model {
    fn new(gpu: &Gpu, features: &Features, held_out: &HeldOut, origins: &[Vec<usize>; 2]) -> wgpu_gru::Result<Self> {
        let trainer = Trainer::new(gpu, SEED)?;
        let forecaster = trainer.forecaster(features, &origins.concat())?;
        let mut follower = Follower::new(gpu, &trainer)?;
        follower.begin(features, held_out.months.start)?;
        // The same batches as the example's, which has used the first one before it trains.
        let mut random = SplitMix64::new(SEED.wrapping_add(1000));
        let (mut x, mut y) = (Vec::new(), Vec::new());
        features.batch(held_out.months.start, BATCH, &mut random, &mut x, &mut y);
        Ok(Self { trainer, forecaster, follower, random, batch: [x, y], steps: 0, forecasts: None })
    }
}
