// What this unit, compiled for one instruction set, offers.
#include "kernels.h"

#define CROSSBLOCK_TEXT(name) #name
#define CROSSBLOCK_NAME(name) CROSSBLOCK_TEXT(name)

namespace crossblock::CROSSBLOCK_ISA {

void attentionForward(const AttentionForward&, int64_t, int64_t, int64_t, float*);
void attentionBackward(const AttentionBackward&, int64_t, int64_t, float*);
void rmsNormForward(const RmsNorm&, int64_t, int64_t);
void rmsNormBackward(const RmsNorm&, int64_t, int64_t);
void siluProductForward(const SiluProduct&, int64_t, int64_t);
void siluProductBackward(const SiluProduct&, int64_t, int64_t);
void rotary(const Rotary&, int64_t, int64_t);
void tokenErrorForward(const TokenError&, int64_t, int64_t);
void tokenErrorBackward(const TokenError&, int64_t, int64_t);
void tokenRoundForward(const TokenRound&, int64_t, int64_t);
void tokenRoundBackward(const TokenRound&, int64_t, int64_t);
void codeUnitForward(const CodeUnitRound&, int64_t, int64_t);
void codeUnitBackward(const CodeUnitRound&, int64_t, int64_t);
void softRoundForward(const SoftRound&, int64_t, int64_t, float*);
void softRoundBackward(const SoftRound&, int64_t, int64_t, float*);
void rangeSearch(const RangeSearch&, int64_t, int64_t);
void gptqColumns(const GptqColumns&, int64_t, int64_t);
void adam(const Adam&, int64_t, int64_t);

extern const Kernels table;
const Kernels table{CROSSBLOCK_NAME(CROSSBLOCK_ISA), attentionForward,    attentionBackward,
                    rmsNormForward,    rmsNormBackward,     siluProductForward,  siluProductBackward,
                    rotary,            tokenErrorForward,   tokenErrorBackward,  tokenRoundForward,
                    tokenRoundBackward, codeUnitForward,    codeUnitBackward,    softRoundForward,
                    softRoundBackward, rangeSearch,         gptqColumns,         adam};

}  // namespace crossblock::CROSSBLOCK_ISA
