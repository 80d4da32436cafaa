export type JsonValue = string | number | boolean | null | readonly JsonValue[] | { readonly [key: string]: JsonValue };

/** A parsed `config.json`, as the model's author wrote it. */
export type ModelConfig = { readonly [key: string]: JsonValue };

export declare function readModelConfig(folder: string): Promise<ModelConfig>;
export declare function requireNumber(config: ModelConfig, key: string): number;
export declare function requireString(config: ModelConfig, key: string): string;
export declare function optionalNumber(config: ModelConfig, key: string): number | undefined;
export declare function optionalString(config: ModelConfig, key: string): string | undefined;
export declare function optionalBoolean(config: ModelConfig, key: string): boolean | undefined;
export declare function optionalObject(config: ModelConfig, key: string): ModelConfig | undefined;
