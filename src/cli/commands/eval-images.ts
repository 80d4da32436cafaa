import { type EvaluateImagesOptions, evaluateImages } from "../../api/evaluate-images.js";
import { OptionError } from "../../errors.js";
import type { ImagesEvent } from "../../run/events/events.js";
import { parseAssignments } from "../../run/options/parse/config-file.js";
import { printLine } from "../exit.js";
import { progressView } from "../progress/progress.js";
import { printable } from "../progress/render-progress.js";
import { formatCount } from "../quantities.js";

/** Flags of `eval` that count for images. */
export interface ImageFlags {
  readonly images?: readonly string[];
  readonly labels?: string;
  readonly reference?: string;
  readonly limit?: number;
  readonly set?: readonly string[];
  readonly device: string;
  readonly json?: boolean;
}

/** Flags that mean nothing for images. */
const forText = ["text", "context", "choices", "delimiter", "revision"] as const;

type TextFlags = { readonly [Name in (typeof forText)[number]]?: unknown };

/** `crossblock eval MODEL.onnx --images DIR` */
export async function runImages(model: string, flags: ImageFlags & TextFlags, signal: AbortSignal): Promise<number> {
  const { images, labels, reference, limit, device } = flags;
  const other = forText.find((name) => flags[name] !== undefined);
  if (other !== undefined) {
    throw new OptionError({
      where: `--${other}`,
      what: "it is for language models, and images are for ONNX networks",
      next: images === undefined ? "give --images in its place" : "leave it out",
    });
  }
  if (images === undefined) {
    throw new OptionError({
      what: "there is nothing to evaluate on",
      next: "give --images with folders of images, or a .npy or .safetensors file",
    });
  }
  const json = flags.json === true;
  const view = progressView(process.stderr, { signal });
  let result: ImagesEvent;
  try {
    result = await evaluateImages(model, {
      images,
      device,
      signal,
      preprocessing: preprocessingOf(flags.set ?? []),
      ...(labels !== undefined && { labels }),
      ...(reference !== undefined && { reference }),
      ...(limit !== undefined && { limit }),
      onEvent: (event) => {
        if (json) printLine(event);
        view.show(event);
      },
    });
  } finally {
    view.close();
  }
  if (json) printLine(result);
  else for (const line of sentences(result)) process.stdout.write(`${printable(line)}\n`);
  return 0;
}

function preprocessingOf(assignments: readonly string[]): NonNullable<EvaluateImagesOptions["preprocessing"]> {
  const { images = {}, ...others } = parseAssignments(assignments);
  const [other] = Object.keys(others);
  if (other !== undefined || images === null || typeof images !== "object") {
    throw new OptionError({
      where: `--set ${other ?? "images"}`,
      what: "eval reads what images become, and nothing else",
      next: "give --set images.crop=224, images.mean=0.5 and the like",
    });
  }
  return images as NonNullable<EvaluateImagesOptions["preprocessing"]>;
}

function sentences({ images, ofImages, preprocessing, labels, accuracy, reference }: ImagesEvent): string[] {
  const part = images === ofImages ? "" : `, the first of ${formatCount(ofImages)}`;
  const on = `${formatCount(images)} ${preprocessing === null ? "examples" : "images"}${part}`;
  return [
    ...(accuracy === null ? [] : [`${accuracyText(accuracy)} on ${on}; classes from ${labels ?? "a file"}`]),
    ...(reference === null ? [] : referenceLines(reference, on)),
    ...(preprocessing === null ? [] : [`images    ${preprocessing}`]),
  ];
}

function referenceLines(
  { model, accuracy, agreement, divergence, relativeError }: NonNullable<ImagesEvent["reference"]>,
  on: string,
): string[] {
  const classes =
    agreement === null || divergence === null
      ? ""
      : `same class at ${percent(agreement)}, KL divergence ${divergence.toPrecision(3)} nats per example, `;
  return [
    ...(accuracy === null ? [] : [`reference ${accuracyText(accuracy)}`]),
    `${classes}relative error of outputs ${relativeError.toPrecision(3)}, against ${model} on ${on}`,
  ];
}

function accuracyText({ top1, top5, stderr }: NonNullable<ImagesEvent["accuracy"]>): string {
  const error = stderr === null ? "" : ` ± ${percent(stderr)}`;
  return `top-1 ${percent(top1)}${error}${top5 === null ? "" : `, top-5 ${percent(top5)}`}`;
}

function percent(share: number): string {
  return `${(share * 100).toFixed(2)} %`;
}
