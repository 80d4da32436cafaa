// What this unit, compiled for one instruction set, offers.
#include "kernels.h"

#define CROSSBLOCK_TEXT(name) #name
#define CROSSBLOCK_NAME(name) CROSSBLOCK_TEXT(name)

namespace crossblock::CROSSBLOCK_ISA {

template <typename T>
void attentionForward(const AttentionForward<T>&, int64_t, int64_t, int64_t, float*);
template <typename T>
void attentionBackward(const AttentionBackward<T>&, int64_t, int64_t, float*);
template <typename T>
void rmsNormForward(const RmsNorm<T>&, int64_t, int64_t);
template <typename T>
void rmsNormBackward(const RmsNorm<T>&, int64_t, int64_t);
template <typename T>
void siluProductForward(const SiluProduct<T>&, int64_t, int64_t);
template <typename T>
void siluProductBackward(const SiluProduct<T>&, int64_t, int64_t);
template <typename T>
void rotary(const Rotary<T>&, int64_t, int64_t);
template <typename T>
void tokenErrorForward(const TokenError<T>&, int64_t, int64_t);
template <typename T>
void tokenErrorBackward(const TokenError<T>&, int64_t, int64_t);
template <typename T>
void tokenRoundForward(const TokenRound<T>&, int64_t, int64_t);
template <typename T>
void tokenRoundBackward(const TokenRound<T>&, int64_t, int64_t);
template <typename T>
void codeUnitForward(const CodeUnitRound<T>&, int64_t, int64_t);
template <typename T>
void codeUnitBackward(const CodeUnitRound<T>&, int64_t, int64_t);
template <typename T>
void softRoundForward(const SoftRound<T>&, int64_t, int64_t, float*);
template <typename T>
void softRoundBackward(const SoftRound<T>&, int64_t, int64_t, float*);
void rangeSearch(const RangeSearch&, int64_t, int64_t);
void gptqColumns(const GptqColumns&, int64_t, int64_t);
void adam(const Adam&, int64_t, int64_t);

namespace {

template <typename T>
constexpr TypedKernels<T> typed{attentionForward<T>,   attentionBackward<T>,   rmsNormForward<T>,
                                rmsNormBackward<T>,    siluProductForward<T>,  siluProductBackward<T>,
                                rotary<T>,             tokenErrorForward<T>,   tokenErrorBackward<T>,
                                tokenRoundForward<T>,  tokenRoundBackward<T>,  codeUnitForward<T>,
                                codeUnitBackward<T>,   softRoundForward<T>,    softRoundBackward<T>};

}  // namespace

extern const Kernels table;
const Kernels table{CROSSBLOCK_NAME(CROSSBLOCK_ISA), typed<float>, typed<BFloat16>, rangeSearch, gptqColumns, adam};

}  // namespace crossblock::CROSSBLOCK_ISA
