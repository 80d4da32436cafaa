// npx tsx examples/quantize-and-evaluate.ts MODEL TEXT OUT [SAMPLES] [CONTEXT]
import { evaluate, loadModel, quantize } from "crossblock";

const [model = "models/sotu-llama-7m", text = "texts", out = "result", samples = "64", context = "512"] =
  process.argv.slice(2);
const size = { samples: Number(samples), context: Number(context) };

for await (const event of quantize({ model, scheme: "W2A16g64", calibration: [text], out, ...size })) {
  if (event.event === "window-done") {
    console.log(`window ${event.window + 1} of ${event.windows}: loss ${event.lossAfter?.total.toFixed(4)}`);
  }
}
for (const folder of [model, out]) {
  const { value } = await evaluate(folder, { text, context: size.context });
  console.log(`${folder}: perplexity ${value.toFixed(2)}`);
}
await using result = await loadModel(out);
for await (const piece of result.generate("My fellow citizens,", { tokens: 30 })) process.stdout.write(piece);
const { shape } = await result.logits([[0, 1, 2, 3]]);
console.log(`\nlogits of four tokens: ${shape.join(" x ")}`);
