/** The project in whose node_modules node-llama-cpp lies, once it was fetched. */
export declare const LLAMA_CPP_PROJECT: string;
export declare function fetchLlamaCpp(): Promise<string | null>;
