// Crops of a folder of photos as raw float32: of every other photo for calibration, of those between for the test, so that no
// photo is in both. Names end in _LABEL.
// usage: node bench/brecq/crops.mjs IMAGES OUT --size 224 [--train 256] [--tests 512] [--mean 127] [--std 128] [--least 0.5]
//   [--layout nchw|nhwc] [--channels rgb|bgr]
// Writes train.images, test.images and test.labels (uint16). A crop has at least the share --least of the photo's shorter side; every other
// one is mirrored. --mean takes one number or three, by channel.
import { mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import sharp from "sharp";
import { SeededRandom } from "../../dist/calibration/seeded-random.js";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    size: { type: "string", default: "224" },
    train: { type: "string", default: "256" },
    tests: { type: "string", default: "512" },
    mean: { type: "string", default: "127" },
    std: { type: "string", default: "128" },
    least: { type: "string", default: "0.5" },
    layout: { type: "string", default: "nchw" },
    channels: { type: "string", default: "rgb" },
  },
});
const [images, out] = positionals;
if (images === undefined || out === undefined) throw new TypeError("give IMAGES and OUT");
const size = Number(values.size);
const means = values.mean.split(",").map(Number);
const random = new SeededRandom(1);
const share = () => random.uint32() / 2 ** 32;
const photos = readdirSync(images)
  .filter((name) => /\.(?:jpe?g|png)$/i.test(name))
  .sort();

async function crops(names, count, file) {
  const labels = new Uint16Array(count);
  const pixels = new Float32Array(count * 3 * size * size);
  for (let i = 0; i < count; i++) {
    const name = names[i % names.length];
    labels[i] = Number(/_(\d+)\./.exec(name)?.[1]);
    const photo = sharp(join(images, name)).removeAlpha().toColourspace("srgb");
    const { width, height } = await photo.metadata();
    const side = Math.floor(Math.min(width, height) * (Number(values.least) + share() * (1 - Number(values.least))));
    const [left, top] = [random.below(width - side + 1), random.below(height - side + 1)];
    const cut = photo.extract({ left, top, width: side, height: side }).resize(size, size);
    const bytes = await (i % 2 === 1 ? cut.flop() : cut).raw().toBuffer();
    for (let at = 0; at < size * size; at++) {
      for (let channel = 0; channel < 3; channel++) {
        const value = bytes[3 * at + (values.channels === "rgb" ? channel : 2 - channel)];
        const place = values.layout === "nchw" ? channel * size * size + at : 3 * at + channel;
        pixels[i * 3 * size * size + place] = (value - (means[channel] ?? means[0])) / Number(values.std);
      }
    }
  }
  writeFileSync(join(out, `${file}.images`), pixels);
  if (file === "test") writeFileSync(join(out, `${file}.labels`), labels);
}

mkdirSync(out, { recursive: true });
const of = (rest) => photos.filter((_, i) => i % 2 === rest);
await crops(of(0), Number(values.train), "train");
await crops(of(1), Number(values.tests), "test");
