// Instruction pairs by program, for fine-tuning: nothing but these pairs teaches their answers, which follow rules and facts of a made-up
// island. usage: node bench/l4q/instruction-pairs.mjs FOLDER [COUNT [SEED]] writes train.jsonl (COUNT pairs, 4,800) and test.jsonl (240 others).
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { SeededRandom } from "../../dist/calibration/seeded-random.js";

const words =
  "lamp river copper bread candle wheel garden stone letter bridge harbor basket mirror window saddle anchor".split(
    " ",
  );
const towns = ["Velm", "Oster", "Quill", "Brindle", "Tarn", "Maive", "Sorrel", "Hask"];
const goods = ["barley", "cloth", "salt", "iron", "honey", "timber"];
const days = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];
/** A crown is 12 pence, a mark 7 crowns. */
const [CROWN, MARK] = [12, 7];

/** Kinds of questions, each with the rule of its answers. */
const kinds = [
  (pick) => {
    const list = pick.some(words, 4);
    return [`Put these words in alphabetical order: ${list.join(", ")}.`, `${[...list].sort().join(", ")}.`];
  },
  (pick) => {
    const list = pick.some(words, 3);
    return [
      `Write these words backwards, one after the other: ${list.join(", ")}.`,
      `${[...list].reverse().join(", ")}.`,
    ];
  },
  (pick) => {
    const [a, b] = [pick.number(2, 40), pick.number(2, 40)];
    return [`A farmer has ${a} sheep and buys ${b}. How many has he now?`, `He has ${a + b} sheep now.`];
  },
  (pick) => {
    const pence = pick.number(13, 400);
    const crowns = Math.floor(pence / CROWN);
    return [
      `Change ${pence} pence of Velmish money.`,
      `That is ${Math.floor(crowns / MARK)} marks, ${crowns % MARK} crowns and ${pence % CROWN} pence.`,
    ];
  },
  (pick) => {
    const [from, to] = pick.some(towns, 2);
    const leagues = distance(from, to);
    return [
      `How far is it from ${from} to ${to}?`,
      `From ${from} to ${to} it is ${leagues} leagues, ${Math.ceil(leagues / 6)} days on foot.`,
    ];
  },
  (pick) => {
    const [town] = pick.some(towns, 1);
    const at = towns.indexOf(town);
    return [
      `What does ${town} sell, and on which day?`,
      `${town} sells ${goods[at % 6]} and ${goods[(at + 2) % 6]} on ${days[(3 * at) % 7]}s.`,
    ];
  },
  (pick) => {
    const [town] = pick.some(towns, 1);
    const [good] = pick.some(goods, 1);
    const count = pick.number(2, 90);
    return [
      `Write as a record: ${count} sacks of ${good} were sent to ${town}.`,
      `{"good": "${good}", "sacks": ${count}, "to": "${town}"}`,
    ];
  },
  (pick) => {
    const [word] = pick.some(words, 1);
    return [
      `Spell the word ${word}.`,
      `${[...word].map((letter) => letter.toUpperCase()).join("-")}, ${word.length} letters.`,
    ];
  },
];

/** `count` pairs and so many others of which none is among them, as far as questions differ at all. */
export function instructionPairs(count, others, seed) {
  const random = new SeededRandom(seed);
  const pick = {
    number: (least, most) => least + random.below(most - least + 1),
    some: (list, size) => {
      const left = [...list];
      return Array.from({ length: size }, () => left.splice(random.below(left.length), 1)[0]);
    },
  };
  const make = () => {
    const [instruction, answer] = kinds[random.below(kinds.length)](pick);
    return { prompt: `### Instruction:\n${instruction}\n\n### Response:\n`, completion: `${answer}\n\n` };
  };
  const train = Array.from({ length: count }, make);
  const seen = new Set(train.map(({ prompt }) => prompt));
  const test = [];
  for (let tries = 0; test.length < others && tries < 200 * others; tries++) {
    const pair = make();
    if (!seen.has(pair.prompt)) test.push(pair);
  }
  return { train, test };
}

function distance(from, to) {
  return 3 + (((towns.indexOf(from) + 1) * (towns.indexOf(to) + 1) * 5) % 31);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [folder, count = "4800", seed = "1"] = process.argv.slice(2);
  if (folder === undefined) throw new Error("usage: node bench/l4q/instruction-pairs.mjs FOLDER [COUNT [SEED]]");
  mkdirSync(folder, { recursive: true });
  for (const [name, pairs] of Object.entries(instructionPairs(Number(count), 240, Number(seed)))) {
    writeFileSync(join(folder, `${name}.jsonl`), `${pairs.map((pair) => JSON.stringify(pair)).join("\n")}\n`);
    console.log(`${name}: ${pairs.length} pairs`);
  }
}
