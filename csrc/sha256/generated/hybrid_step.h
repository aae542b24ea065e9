/* Written by generate_steps.py, 2905 instructions. Do not edit. */
#define CAPSEAL_HYBRID_STEP \
    "mov %[in], %[first]\n" \
    "vmovdqa 0(%[state]), %%xmm1\n" \
    "vmovdqa 16(%[state]), %%xmm2\n" \
    "vmovdqa 32(%[state]), %%xmm3\n" \
    "vmovdqa 48(%[state]), %%xmm4\n" \
    "vmovdqa 64(%[state]), %%xmm5\n" \
    "vmovdqa 80(%[state]), %%xmm6\n" \
    "vmovdqa 96(%[state]), %%xmm7\n" \
    "vmovdqa 112(%[state]), %%xmm8\n" \
    "vmovdqa 128(%[state]), %%xmm9\n" \
    "vmovdqa 144(%[state]), %%xmm10\n" \
    "vmovdqa 160(%[state]), %%xmm11\n" \
    "vmovdqa 176(%[state]), %%xmm12\n" \
    "vmovq 0(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm1, %%xmm2\n" \
    "lea (%[in],%[stride],4), %[in4]\n" \
    "vmovdqu32 (%[in]), %%xmm16\n" \
    "vmovdqu32 16(%[in]), %%xmm17\n" \
    "vmovdqu32 32(%[in]), %%xmm18\n" \
    "vmovq 32(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm3, %%xmm4\n" \
    "vmovdqu32 48(%[in]), %%xmm19\n" \
    "vmovdqu32 (%[in],%[stride]), %%xmm20\n" \
    "vmovdqu32 16(%[in],%[stride]), %%xmm21\n" \
    "vmovq 64(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm5, %%xmm6\n" \
    "vmovdqu32 32(%[in],%[stride]), %%xmm22\n" \
    "vmovdqu32 48(%[in],%[stride]), %%xmm23\n" \
    "vmovdqu32 (%[in],%[stride],2), %%xmm24\n" \
    "vmovdqu32 16(%[in],%[stride],2), %%xmm25\n" \
    "vmovq 96(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm7, %%xmm8\n" \
    "vmovdqu32 32(%[in],%[stride],2), %%xmm26\n" \
    "vmovdqu32 48(%[in],%[stride],2), %%xmm27\n" \
    "vinserti32x4 $1, (%[in4]), %%ymm16, %%ymm28\n" \
    "vmovq 16(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm9, %%xmm10\n" \
    "vinserti32x4 $1, 16(%[in4]), %%ymm17, %%ymm29\n" \
    "vinserti32x4 $1, 32(%[in4]), %%ymm18, %%ymm30\n" \
    "vinserti32x4 $1, 48(%[in4]), %%ymm19, %%ymm31\n" \
    "vinserti32x4 $1, (%[in4],%[stride]), %%ymm20, %%ymm13\n" \
    "vmovq 48(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm11, %%xmm12\n" \
    "vinserti32x4 $1, 16(%[in4],%[stride]), %%ymm21, %%ymm14\n" \
    "vinserti32x4 $1, 32(%[in4],%[stride]), %%ymm22, %%ymm15\n" \
    "vinserti32x4 $1, 48(%[in4],%[stride]), %%ymm23, %%ymm16\n" \
    "vmovq 8(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm2, %%xmm1\n" \
    "vinserti32x4 $1, (%[in4],%[stride],2), %%ymm24, %%ymm17\n" \
    "vinserti32x4 $1, 16(%[in4],%[stride],2), %%ymm25, %%ymm18\n" \
    "vinserti32x4 $1, 32(%[in4],%[stride],2), %%ymm26, %%ymm19\n" \
    "vinserti32x4 $1, 48(%[in4],%[stride],2), %%ymm27, %%ymm20\n" \
    "vmovq 40(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm4, %%xmm3\n" \
    "vmovdqu32 (%[in],%[stride3]), %%xmm21\n" \
    "vmovdqu32 16(%[in],%[stride3]), %%xmm22\n" \
    "vmovdqu32 32(%[in],%[stride3]), %%xmm23\n" \
    "vmovq 72(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm6, %%xmm5\n" \
    "vmovdqu32 48(%[in],%[stride3]), %%xmm24\n" \
    "vpshufb (%[table]), %%ymm28, %%ymm25\n" \
    "vpshufb (%[table]), %%ymm13, %%ymm26\n" \
    "vpshufb (%[table]), %%ymm17, %%ymm27\n" \
    "vmovq 104(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm8, %%xmm7\n" \
    "vpaddd 32(%[table]), %%ymm25, %%ymm28\n" \
    "vmovdqa32 %%ymm28, 0(%[wk_next])\n" \
    "vpaddd 32(%[table]), %%ymm26, %%ymm13\n" \
    "vmovq 24(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm10, %%xmm9\n" \
    "vpshufb (%[table]), %%ymm29, %%ymm17\n" \
    "vinserti32x4 $1, (%[in4],%[stride3]), %%ymm21, %%ymm28\n" \
    "vmovdqa %%ymm13, 32(%[wk_next])\n" \
    "vinserti32x4 $1, 16(%[in4],%[stride3]), %%ymm22, %%ymm29\n" \
    "vmovq 56(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm12, %%xmm11\n" \
    "vinserti32x4 $1, 32(%[in4],%[stride3]), %%ymm23, %%ymm21\n" \
    "vinserti32x4 $1, 48(%[in4],%[stride3]), %%ymm24, %%ymm13\n" \
    "vpaddd 32(%[table]), %%ymm27, %%ymm22\n" \
    "vmovq 128(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm1, %%xmm2\n" \
    "vpshufb (%[table]), %%ymm28, %%ymm23\n" \
    "vpshufb (%[table]), %%ymm14, %%ymm24\n" \
    "vmovdqa32 %%ymm22, 64(%[wk_next])\n" \
    "vpaddd 32(%[table]), %%ymm23, %%ymm28\n" \
    "vmovq 160(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm3, %%xmm4\n" \
    "vpshufb (%[table]), %%ymm18, %%ymm14\n" \
    "vpshufb (%[table]), %%ymm29, %%ymm22\n" \
    "vmovdqa32 %%ymm28, 96(%[wk_next])\n" \
    "vmovq 192(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm5, %%xmm6\n" \
    "vpunpckldq %%ymm26, %%ymm25, %%ymm18\n" \
    "vpunpckhdq %%ymm26, %%ymm25, %%ymm29\n" \
    "vpunpckldq %%ymm23, %%ymm27, %%ymm28\n" \
    "vpunpckhdq %%ymm23, %%ymm27, %%ymm25\n" \
    "vmovq 224(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm7, %%xmm8\n" \
    "vpaddd 64(%[table]), %%ymm17, %%ymm26\n" \
    "vpunpcklqdq %%ymm28, %%ymm18, %%ymm27\n" \
    "vpunpckhqdq %%ymm28, %%ymm18, %%ymm23\n" \
    "vmovq 144(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm9, %%xmm10\n" \
    "vpunpcklqdq %%ymm25, %%ymm29, %%ymm18\n" \
    "vpunpckhqdq %%ymm25, %%ymm29, %%ymm28\n" \
    "vmovdqa32 %%ymm26, 128(%[wk_next])\n" \
    "vpaddd 64(%[table]), %%ymm24, %%ymm29\n" \
    "vmovq 176(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm11, %%xmm12\n" \
    "vpshufb (%[table]), %%ymm30, %%ymm25\n" \
    "vpshufb (%[table]), %%ymm15, %%ymm26\n" \
    "vmovdqa32 %%ymm29, 160(%[wk_next])\n" \
    "vmovq 136(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm2, %%xmm1\n" \
    "vpaddd 64(%[table]), %%ymm14, %%ymm30\n" \
    "vpshufb (%[table]), %%ymm19, %%ymm15\n" \
    "vpshufb (%[table]), %%ymm21, %%ymm29\n" \
    "vmovdqa32 %%ymm30, 192(%[wk_next])\n" \
    "vmovq 168(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm4, %%xmm3\n" \
    "vpaddd 64(%[table]), %%ymm22, %%ymm19\n" \
    "vmovdqa32 %%ymm19, 224(%[wk_next])\n" \
    "vpunpckldq %%ymm24, %%ymm17, %%ymm21\n" \
    "vmovq 200(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm6, %%xmm5\n" \
    "vpunpckhdq %%ymm24, %%ymm17, %%ymm30\n" \
    "vpunpckldq %%ymm22, %%ymm14, %%ymm19\n" \
    "vpunpckhdq %%ymm22, %%ymm14, %%ymm17\n" \
    "vpaddd 96(%[table]), %%ymm25, %%ymm24\n" \
    "vmovq 232(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm8, %%xmm7\n" \
    "vpunpcklqdq %%ymm19, %%ymm21, %%ymm14\n" \
    "vpunpckhqdq %%ymm19, %%ymm21, %%ymm22\n" \
    "vpunpcklqdq %%ymm17, %%ymm30, %%ymm21\n" \
    "vmovq 152(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm10, %%xmm9\n" \
    "vpunpckhqdq %%ymm17, %%ymm30, %%ymm19\n" \
    "vmovdqa32 %%ymm24, 256(%[wk_next])\n" \
    "vpaddd 96(%[table]), %%ymm26, %%ymm30\n" \
    "vpshufb (%[table]), %%ymm31, %%ymm17\n" \
    "vmovq 184(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm12, %%xmm11\n" \
    "vpshufb (%[table]), %%ymm16, %%ymm24\n" \
    "vmovdqa32 %%ymm30, 288(%[wk_next])\n" \
    "vpaddd 96(%[table]), %%ymm15, %%ymm31\n" \
    "vmovq 256(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm1, %%xmm2\n" \
    "vpshufb (%[table]), %%ymm20, %%ymm16\n" \
    "vpshufb (%[table]), %%ymm13, %%ymm30\n" \
    "vmovdqa32 %%ymm31, 320(%[wk_next])\n" \
    "vpaddd 96(%[table]), %%ymm29, %%ymm20\n" \
    "vmovq 288(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm3, %%xmm4\n" \
    "vmovdqa32 %%ymm20, 352(%[wk_next])\n" \
    "vpunpckldq %%ymm26, %%ymm25, %%ymm13\n" \
    "vpunpckhdq %%ymm26, %%ymm25, %%ymm31\n" \
    "vmovq 320(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm5, %%xmm6\n" \
    "vpunpckldq %%ymm29, %%ymm15, %%ymm20\n" \
    "vpunpckhdq %%ymm29, %%ymm15, %%ymm25\n" \
    "vpaddd 128(%[table]), %%ymm17, %%ymm26\n" \
    "vpunpcklqdq %%ymm20, %%ymm13, %%ymm15\n" \
    "vmovq 352(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm7, %%xmm8\n" \
    "vpunpckhqdq %%ymm20, %%ymm13, %%ymm29\n" \
    "vpunpcklqdq %%ymm25, %%ymm31, %%ymm13\n" \
    "vpunpckhqdq %%ymm25, %%ymm31, %%ymm20\n" \
    "vmovq 272(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm9, %%xmm10\n" \
    "vmovdqa32 %%ymm26, 384(%[wk_next])\n" \
    "vpaddd 128(%[table]), %%ymm24, %%ymm31\n" \
    "vpaddd %%ymm29, %%ymm27, %%ymm25\n" \
    "vmovq 304(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm11, %%xmm12\n" \
    "vmovdqa32 %%ymm31, 416(%[wk_next])\n" \
    "vpaddd 128(%[table]), %%ymm16, %%ymm26\n" \
    "vmovdqa32 %%ymm26, 448(%[wk_next])\n" \
    "vpaddd 128(%[table]), %%ymm30, %%ymm27\n" \
    "vmovq 264(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm2, %%xmm1\n" \
    "vmovdqa32 %%ymm27, 480(%[wk_next])\n" \
    "vpunpckldq %%ymm24, %%ymm17, %%ymm31\n" \
    "vpunpckhdq %%ymm24, %%ymm17, %%ymm26\n" \
    "vmovq 296(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm4, %%xmm3\n" \
    "vpunpckldq %%ymm30, %%ymm16, %%ymm27\n" \
    "vpunpckhdq %%ymm30, %%ymm16, %%ymm17\n" \
    "vprord $7, %%ymm23, %%ymm24\n" \
    "vpunpcklqdq %%ymm27, %%ymm31, %%ymm16\n" \
    "vmovq 328(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm6, %%xmm5\n" \
    "vpunpckhqdq %%ymm27, %%ymm31, %%ymm30\n" \
    "vpunpcklqdq %%ymm17, %%ymm26, %%ymm31\n" \
    "vpunpckhqdq %%ymm17, %%ymm26, %%ymm27\n" \
    "vmovq 360(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm8, %%xmm7\n" \
    "vprord $18, %%ymm23, %%ymm26\n" \
    "vpxord %%ymm26, %%ymm24, %%ymm17\n" \
    "vpsrld $3, %%ymm23, %%ymm24\n" \
    "vpaddd %%ymm13, %%ymm23, %%ymm26\n" \
    "vmovq 280(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm10, %%xmm9\n" \
    "vpxord %%ymm24, %%ymm17, %%ymm23\n" \
    "vpaddd %%ymm23, %%ymm25, %%ymm17\n" \
    "vprord $7, %%ymm18, %%ymm24\n" \
    "vmovq 312(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm12, %%xmm11\n" \
    "vprord $18, %%ymm18, %%ymm25\n" \
    "vpxord %%ymm25, %%ymm24, %%ymm23\n" \
    "vpsrld $3, %%ymm18, %%ymm24\n" \
    "vpxord %%ymm24, %%ymm23, %%ymm25\n" \
    "vmovq 384(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm1, %%xmm2\n" \
    "vpaddd %%ymm20, %%ymm18, %%ymm23\n" \
    "vpaddd %%ymm25, %%ymm26, %%ymm24\n" \
    "vprord $17, %%ymm31, %%ymm18\n" \
    "vmovq 416(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm3, %%xmm4\n" \
    "vprord $19, %%ymm31, %%ymm26\n" \
    "vpxord %%ymm26, %%ymm18, %%ymm25\n" \
    "vpsrld $10, %%ymm31, %%ymm18\n" \
    "vpxord %%ymm18, %%ymm25, %%ymm26\n" \
    "vmovq 448(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm5, %%xmm6\n" \
    "vpaddd %%ymm26, %%ymm17, %%ymm25\n" \
    "vprord $17, %%ymm27, %%ymm18\n" \
    "vprord $19, %%ymm27, %%ymm17\n" \
    "vmovq 480(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm7, %%xmm8\n" \
    "vpxord %%ymm17, %%ymm18, %%ymm26\n" \
    "vpsrld $10, %%ymm27, %%ymm18\n" \
    "vpxord %%ymm18, %%ymm26, %%ymm17\n" \
    "vpaddd %%ymm17, %%ymm24, %%ymm26\n" \
    "vmovq 400(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm9, %%xmm10\n" \
    "vpaddd 64(%[k])%{1to8%}, %%ymm25, %%ymm18\n" \
    "vpaddd 68(%[k])%{1to8%}, %%ymm26, %%ymm24\n" \
    "vpunpckldq %%ymm24, %%ymm18, %%ymm17\n" \
    "vmovq 432(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm11, %%xmm12\n" \
    "vpunpckhdq %%ymm24, %%ymm18, %%ymm18\n" \
    "vmovdqa32 %%ymm17, 512(%[wk_next])\n" \
    "vmovdqa32 %%ymm18, 544(%[wk_next])\n" \
    "vprord $7, %%ymm28, %%ymm24\n" \
    "vmovq 392(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm2, %%xmm1\n" \
    "vprord $18, %%ymm28, %%ymm17\n" \
    "vpxord %%ymm17, %%ymm24, %%ymm18\n" \
    "vpsrld $3, %%ymm28, %%ymm24\n" \
    "vmovq 424(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm4, %%xmm3\n" \
    "vpaddd %%ymm16, %%ymm28, %%ymm17\n" \
    "vpxord %%ymm24, %%ymm18, %%ymm28\n" \
    "vpaddd %%ymm28, %%ymm23, %%ymm18\n" \
    "vprord $7, %%ymm14, %%ymm24\n" \
    "vmovq 456(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm6, %%xmm5\n" \
    "vprord $18, %%ymm14, %%ymm23\n" \
    "vpxord %%ymm23, %%ymm24, %%ymm28\n" \
    "vpsrld $3, %%ymm14, %%ymm24\n" \
    "vmovq 488(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm8, %%xmm7\n" \
    "vpxord %%ymm24, %%ymm28, %%ymm23\n" \
    "vpaddd %%ymm30, %%ymm14, %%ymm28\n" \
    "vpaddd %%ymm23, %%ymm17, %%ymm24\n" \
    "vprord $17, %%ymm25, %%ymm14\n" \
    "vmovq 408(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm10, %%xmm9\n" \
    "vprord $19, %%ymm25, %%ymm17\n" \
    "vpxord %%ymm17, %%ymm14, %%ymm23\n" \
    "vpsrld $10, %%ymm25, %%ymm14\n" \
    "vmovq 440(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm12, %%xmm11\n" \
    "vpxord %%ymm14, %%ymm23, %%ymm17\n" \
    "vpaddd %%ymm17, %%ymm18, %%ymm23\n" \
    "vprord $17, %%ymm26, %%ymm14\n" \
    "vprord $19, %%ymm26, %%ymm18\n" \
    "vmovq 512(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm1, %%xmm2\n" \
    "vpxord %%ymm18, %%ymm14, %%ymm17\n" \
    "vpsrld $10, %%ymm26, %%ymm14\n" \
    "vpxord %%ymm14, %%ymm17, %%ymm18\n" \
    "vmovq 520(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm3, %%xmm4\n" \
    "vpaddd %%ymm18, %%ymm24, %%ymm17\n" \
    "vpaddd 72(%[k])%{1to8%}, %%ymm23, %%ymm14\n" \
    "vpaddd 76(%[k])%{1to8%}, %%ymm17, %%ymm24\n" \
    "vpunpckldq %%ymm24, %%ymm14, %%ymm18\n" \
    "vmovq 544(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm5, %%xmm6\n" \
    "vpunpckhdq %%ymm24, %%ymm14, %%ymm14\n" \
    "vmovdqa32 %%ymm18, 576(%[wk_next])\n" \
    "vmovdqa %%ymm14, 608(%[wk_next])\n" \
    "vmovq 552(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm7, %%xmm8\n" \
    "vprord $7, %%ymm22, %%ymm24\n" \
    "vprord $18, %%ymm22, %%ymm18\n" \
    "vpxord %%ymm18, %%ymm24, %%ymm14\n" \
    "vpsrld $3, %%ymm22, %%ymm24\n" \
    "vmovq 528(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm9, %%xmm10\n" \
    "vpaddd %%ymm31, %%ymm22, %%ymm18\n" \
    "vpxord %%ymm24, %%ymm14, %%ymm22\n" \
    "vpaddd %%ymm22, %%ymm28, %%ymm14\n" \
    "vmovq 536(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm11, %%xmm12\n" \
    "vprord $7, %%ymm21, %%ymm24\n" \
    "vprord $18, %%ymm21, %%ymm28\n" \
    "vpxord %%ymm28, %%ymm24, %%ymm22\n" \
    "vpsrld $3, %%ymm21, %%ymm24\n" \
    "vmovq 576(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm2, %%xmm1\n" \
    "vpxord %%ymm24, %%ymm22, %%ymm28\n" \
    "vpaddd %%ymm28, %%ymm18, %%ymm22\n" \
    "vprord $17, %%ymm23, %%ymm24\n" \
    "vmovq 584(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm4, %%xmm3\n" \
    "vprord $19, %%ymm23, %%ymm18\n" \
    "vpxord %%ymm18, %%ymm24, %%ymm28\n" \
    "vpsrld $10, %%ymm23, %%ymm24\n" \
    "vpxord %%ymm24, %%ymm28, %%ymm18\n" \
    "vmovq 608(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm6, %%xmm5\n" \
    "vpaddd %%ymm18, %%ymm14, %%ymm28\n" \
    "vprord $17, %%ymm17, %%ymm24\n" \
    "vprord $19, %%ymm17, %%ymm14\n" \
    "vmovq 616(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm8, %%xmm7\n" \
    "vpxord %%ymm14, %%ymm24, %%ymm18\n" \
    "vpsrld $10, %%ymm17, %%ymm24\n" \
    "vpxord %%ymm24, %%ymm18, %%ymm14\n" \
    "vmovq 592(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm10, %%xmm9\n" \
    "vpaddd %%ymm14, %%ymm22, %%ymm18\n" \
    "vpaddd 80(%[k])%{1to8%}, %%ymm28, %%ymm24\n" \
    "vpaddd 84(%[k])%{1to8%}, %%ymm18, %%ymm22\n" \
    "vpunpckldq %%ymm22, %%ymm24, %%ymm14\n" \
    "vmovq 600(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm12, %%xmm11\n" \
    "vpunpckhdq %%ymm22, %%ymm24, %%ymm24\n" \
    "vmovdqa %%ymm14, 640(%[wk_next])\n" \
    "vmovdqa32 %%ymm24, 672(%[wk_next])\n" \
    "vmovq 640(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm1, %%xmm2\n" \
    "lea (%[in],%[stride],8), %[ahead]\n" \
    "prefetcht0 (%[ahead])\n" \
    "vpaddd %%ymm27, %%ymm21, %%ymm22\n" \
    "vprord $7, %%ymm19, %%ymm14\n" \
    "vmovq 648(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm3, %%xmm4\n" \
    "vprord $18, %%ymm19, %%ymm24\n" \
    "vpxord %%ymm24, %%ymm14, %%ymm21\n" \
    "vpsrld $3, %%ymm19, %%ymm14\n" \
    "vmovq 672(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm5, %%xmm6\n" \
    "vpaddd %%ymm25, %%ymm19, %%ymm24\n" \
    "vpxord %%ymm14, %%ymm21, %%ymm19\n" \
    "vpaddd %%ymm19, %%ymm22, %%ymm21\n" \
    "vprord $7, %%ymm15, %%ymm14\n" \
    "vmovq 680(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm7, %%xmm8\n" \
    "vprord $18, %%ymm15, %%ymm22\n" \
    "vpxord %%ymm22, %%ymm14, %%ymm19\n" \
    "vpsrld $3, %%ymm15, %%ymm14\n" \
    "vmovq 656(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm9, %%xmm10\n" \
    "vpxord %%ymm14, %%ymm19, %%ymm22\n" \
    "vpaddd %%ymm22, %%ymm24, %%ymm19\n" \
    "vprord $17, %%ymm28, %%ymm14\n" \
    "vprord $19, %%ymm28, %%ymm24\n" \
    "vmovq 664(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm11, %%xmm12\n" \
    "vpxord %%ymm24, %%ymm14, %%ymm22\n" \
    "vpsrld $10, %%ymm28, %%ymm14\n" \
    "vpxord %%ymm14, %%ymm22, %%ymm24\n" \
    "vmovq 704(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm2, %%xmm1\n" \
    "vpaddd %%ymm24, %%ymm21, %%ymm22\n" \
    "vprord $17, %%ymm18, %%ymm14\n" \
    "vprord $19, %%ymm18, %%ymm21\n" \
    "vpxord %%ymm21, %%ymm14, %%ymm24\n" \
    "vmovq 712(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm4, %%xmm3\n" \
    "vpsrld $10, %%ymm18, %%ymm14\n" \
    "vpxord %%ymm14, %%ymm24, %%ymm21\n" \
    "vpaddd %%ymm21, %%ymm19, %%ymm24\n" \
    "vmovq 736(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm6, %%xmm5\n" \
    "vpaddd 88(%[k])%{1to8%}, %%ymm22, %%ymm14\n" \
    "vpaddd 92(%[k])%{1to8%}, %%ymm24, %%ymm19\n" \
    "vpunpckldq %%ymm19, %%ymm14, %%ymm21\n" \
    "vpunpckhdq %%ymm19, %%ymm14, %%ymm14\n" \
    "vmovq 744(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm8, %%xmm7\n" \
    "vmovdqa32 %%ymm21, 704(%[wk_next])\n" \
    "vmovdqa %%ymm14, 736(%[wk_next])\n" \
    "prefetcht0 (%[ahead],%[stride])\n" \
    "vmovq 720(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm10, %%xmm9\n" \
    "vpaddd %%ymm26, %%ymm15, %%ymm19\n" \
    "vprord $7, %%ymm29, %%ymm21\n" \
    "vprord $18, %%ymm29, %%ymm14\n" \
    "vpxord %%ymm14, %%ymm21, %%ymm15\n" \
    "vmovq 728(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm12, %%xmm11\n" \
    "vpsrld $3, %%ymm29, %%ymm21\n" \
    "vpaddd %%ymm23, %%ymm29, %%ymm14\n" \
    "vpxord %%ymm21, %%ymm15, %%ymm29\n" \
    "vmovq 768(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm1, %%xmm2\n" \
    "vpaddd %%ymm29, %%ymm19, %%ymm15\n" \
    "vprord $7, %%ymm13, %%ymm21\n" \
    "vprord $18, %%ymm13, %%ymm19\n" \
    "vpxord %%ymm19, %%ymm21, %%ymm29\n" \
    "vmovq 776(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm3, %%xmm4\n" \
    "vpsrld $3, %%ymm13, %%ymm21\n" \
    "vpxord %%ymm21, %%ymm29, %%ymm19\n" \
    "vpaddd %%ymm19, %%ymm14, %%ymm29\n" \
    "vmovq 800(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm5, %%xmm6\n" \
    "vprord $17, %%ymm22, %%ymm21\n" \
    "vprord $19, %%ymm22, %%ymm14\n" \
    "vpxord %%ymm14, %%ymm21, %%ymm19\n" \
    "vpsrld $10, %%ymm22, %%ymm21\n" \
    "vmovq 808(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm7, %%xmm8\n" \
    "vpxord %%ymm21, %%ymm19, %%ymm14\n" \
    "vpaddd %%ymm14, %%ymm15, %%ymm19\n" \
    "vprord $17, %%ymm24, %%ymm21\n" \
    "vmovq 784(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm9, %%xmm10\n" \
    "vprord $19, %%ymm24, %%ymm15\n" \
    "vpxord %%ymm15, %%ymm21, %%ymm14\n" \
    "vpsrld $10, %%ymm24, %%ymm21\n" \
    "vpxord %%ymm21, %%ymm14, %%ymm15\n" \
    "vmovq 792(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm11, %%xmm12\n" \
    "vpaddd %%ymm15, %%ymm29, %%ymm14\n" \
    "vpaddd 96(%[k])%{1to8%}, %%ymm19, %%ymm21\n" \
    "vpaddd 100(%[k])%{1to8%}, %%ymm14, %%ymm29\n" \
    "vmovq 832(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm2, %%xmm1\n" \
    "vpunpckldq %%ymm29, %%ymm21, %%ymm15\n" \
    "vpunpckhdq %%ymm29, %%ymm21, %%ymm21\n" \
    "vmovdqa %%ymm15, 768(%[wk_next])\n" \
    "vmovdqa32 %%ymm21, 800(%[wk_next])\n" \
    "vmovq 840(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm4, %%xmm3\n" \
    "prefetcht0 (%[ahead],%[stride],2)\n" \
    "vpaddd %%ymm17, %%ymm13, %%ymm29\n" \
    "vprord $7, %%ymm20, %%ymm15\n" \
    "vmovq 864(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm6, %%xmm5\n" \
    "vprord $18, %%ymm20, %%ymm21\n" \
    "vpxord %%ymm21, %%ymm15, %%ymm13\n" \
    "vpsrld $3, %%ymm20, %%ymm15\n" \
    "vpaddd %%ymm28, %%ymm20, %%ymm21\n" \
    "vmovq 872(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm8, %%xmm7\n" \
    "vpxord %%ymm15, %%ymm13, %%ymm20\n" \
    "vpaddd %%ymm20, %%ymm29, %%ymm13\n" \
    "vprord $7, %%ymm16, %%ymm15\n" \
    "vmovq 848(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm10, %%xmm9\n" \
    "vprord $18, %%ymm16, %%ymm29\n" \
    "vpxord %%ymm29, %%ymm15, %%ymm20\n" \
    "vpsrld $3, %%ymm16, %%ymm15\n" \
    "vpxord %%ymm15, %%ymm20, %%ymm29\n" \
    "vmovq 856(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm12, %%xmm11\n" \
    "vpaddd %%ymm29, %%ymm21, %%ymm20\n" \
    "vprord $17, %%ymm19, %%ymm15\n" \
    "vprord $19, %%ymm19, %%ymm21\n" \
    "vmovq 896(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm1, %%xmm2\n" \
    "vpxord %%ymm21, %%ymm15, %%ymm29\n" \
    "vpsrld $10, %%ymm19, %%ymm15\n" \
    "vpxord %%ymm15, %%ymm29, %%ymm21\n" \
    "vpaddd %%ymm21, %%ymm13, %%ymm29\n" \
    "vmovq 904(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm3, %%xmm4\n" \
    "vprord $17, %%ymm14, %%ymm15\n" \
    "vprord $19, %%ymm14, %%ymm13\n" \
    "vpxord %%ymm13, %%ymm15, %%ymm21\n" \
    "vmovq 928(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm5, %%xmm6\n" \
    "vpsrld $10, %%ymm14, %%ymm15\n" \
    "vpxord %%ymm15, %%ymm21, %%ymm13\n" \
    "vpaddd %%ymm13, %%ymm20, %%ymm21\n" \
    "vmovq 936(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm7, %%xmm8\n" \
    "vpaddd 104(%[k])%{1to8%}, %%ymm29, %%ymm15\n" \
    "vpaddd 108(%[k])%{1to8%}, %%ymm21, %%ymm20\n" \
    "vpunpckldq %%ymm20, %%ymm15, %%ymm13\n" \
    "vpunpckhdq %%ymm20, %%ymm15, %%ymm15\n" \
    "vmovq 912(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm9, %%xmm10\n" \
    "vmovdqa %%ymm13, 832(%[wk_next])\n" \
    "vmovdqa %%ymm15, 864(%[wk_next])\n" \
    "prefetcht0 (%[ahead],%[stride3])\n" \
    "vmovq 920(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm11, %%xmm12\n" \
    "vpaddd %%ymm18, %%ymm16, %%ymm20\n" \
    "vprord $7, %%ymm30, %%ymm13\n" \
    "vprord $18, %%ymm30, %%ymm15\n" \
    "vpxord %%ymm15, %%ymm13, %%ymm16\n" \
    "vmovq 960(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm2, %%xmm1\n" \
    "vpsrld $3, %%ymm30, %%ymm13\n" \
    "vpaddd %%ymm22, %%ymm30, %%ymm15\n" \
    "vpxord %%ymm13, %%ymm16, %%ymm30\n" \
    "vmovq 968(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm4, %%xmm3\n" \
    "vpaddd %%ymm30, %%ymm20, %%ymm16\n" \
    "vprord $7, %%ymm31, %%ymm13\n" \
    "vprord $18, %%ymm31, %%ymm20\n" \
    "vpxord %%ymm20, %%ymm13, %%ymm30\n" \
    "vmovq 992(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm6, %%xmm5\n" \
    "vpsrld $3, %%ymm31, %%ymm13\n" \
    "vpxord %%ymm13, %%ymm30, %%ymm20\n" \
    "vpaddd %%ymm20, %%ymm15, %%ymm30\n" \
    "vmovq 1000(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm8, %%xmm7\n" \
    "vprord $17, %%ymm29, %%ymm13\n" \
    "vprord $19, %%ymm29, %%ymm15\n" \
    "vpxord %%ymm15, %%ymm13, %%ymm20\n" \
    "vpsrld $10, %%ymm29, %%ymm13\n" \
    "vmovq 976(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm10, %%xmm9\n" \
    "vpxord %%ymm13, %%ymm20, %%ymm15\n" \
    "vpaddd %%ymm15, %%ymm16, %%ymm20\n" \
    "vprord $17, %%ymm21, %%ymm13\n" \
    "vmovq 984(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm12, %%xmm11\n" \
    "vprord $19, %%ymm21, %%ymm16\n" \
    "vpxord %%ymm16, %%ymm13, %%ymm15\n" \
    "vpsrld $10, %%ymm21, %%ymm13\n" \
    "vpxord %%ymm13, %%ymm15, %%ymm16\n" \
    "vmovq 1024(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm1, %%xmm2\n" \
    "vpaddd %%ymm16, %%ymm30, %%ymm15\n" \
    "vpaddd 112(%[k])%{1to8%}, %%ymm20, %%ymm13\n" \
    "vpaddd 116(%[k])%{1to8%}, %%ymm15, %%ymm30\n" \
    "vmovq 1032(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm3, %%xmm4\n" \
    "vpunpckldq %%ymm30, %%ymm13, %%ymm16\n" \
    "vpunpckhdq %%ymm30, %%ymm13, %%ymm13\n" \
    "vmovdqa32 %%ymm16, 896(%[wk_next])\n" \
    "vmovdqa %%ymm13, 928(%[wk_next])\n" \
    "vmovq 1056(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm5, %%xmm6\n" \
    "lea (%[ahead],%[stride],4), %[ahead]\n" \
    "prefetcht0 (%[ahead])\n" \
    "vpaddd %%ymm24, %%ymm31, %%ymm30\n" \
    "vmovq 1064(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm7, %%xmm8\n" \
    "vprord $7, %%ymm27, %%ymm16\n" \
    "vprord $18, %%ymm27, %%ymm13\n" \
    "vpxord %%ymm13, %%ymm16, %%ymm31\n" \
    "vpsrld $3, %%ymm27, %%ymm16\n" \
    "vmovq 1040(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm9, %%xmm10\n" \
    "vpaddd %%ymm19, %%ymm27, %%ymm13\n" \
    "vpxord %%ymm16, %%ymm31, %%ymm27\n" \
    "vpaddd %%ymm27, %%ymm30, %%ymm31\n" \
    "vmovq 1048(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm11, %%xmm12\n" \
    "vprord $7, %%ymm25, %%ymm16\n" \
    "vprord $18, %%ymm25, %%ymm30\n" \
    "vpxord %%ymm30, %%ymm16, %%ymm27\n" \
    "vpsrld $3, %%ymm25, %%ymm16\n" \
    "vmovq 1088(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm2, %%xmm1\n" \
    "vpxord %%ymm16, %%ymm27, %%ymm30\n" \
    "vpaddd %%ymm30, %%ymm13, %%ymm27\n" \
    "vprord $17, %%ymm20, %%ymm16\n" \
    "vmovq 1096(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm4, %%xmm3\n" \
    "vprord $19, %%ymm20, %%ymm13\n" \
    "vpxord %%ymm13, %%ymm16, %%ymm30\n" \
    "vpsrld $10, %%ymm20, %%ymm16\n" \
    "vpxord %%ymm16, %%ymm30, %%ymm13\n" \
    "vmovq 1120(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm6, %%xmm5\n" \
    "vpaddd %%ymm13, %%ymm31, %%ymm30\n" \
    "vprord $17, %%ymm15, %%ymm16\n" \
    "vprord $19, %%ymm15, %%ymm31\n" \
    "vmovq 1128(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm8, %%xmm7\n" \
    "vpxord %%ymm31, %%ymm16, %%ymm13\n" \
    "vpsrld $10, %%ymm15, %%ymm16\n" \
    "vpxord %%ymm16, %%ymm13, %%ymm31\n" \
    "vpaddd %%ymm31, %%ymm27, %%ymm13\n" \
    "vmovq 1104(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm10, %%xmm9\n" \
    "vpaddd 120(%[k])%{1to8%}, %%ymm30, %%ymm16\n" \
    "vpaddd 124(%[k])%{1to8%}, %%ymm13, %%ymm27\n" \
    "vpunpckldq %%ymm27, %%ymm16, %%ymm31\n" \
    "vmovq 1112(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm12, %%xmm11\n" \
    "vpunpckhdq %%ymm27, %%ymm16, %%ymm16\n" \
    "vmovdqa32 %%ymm31, 960(%[wk_next])\n" \
    "vmovdqa32 %%ymm16, 992(%[wk_next])\n" \
    "prefetcht0 (%[ahead],%[stride])\n" \
    "vmovq 1152(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm1, %%xmm2\n" \
    "vpaddd %%ymm14, %%ymm25, %%ymm27\n" \
    "vprord $7, %%ymm26, %%ymm31\n" \
    "vprord $18, %%ymm26, %%ymm16\n" \
    "vmovq 1160(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm3, %%xmm4\n" \
    "vpxord %%ymm16, %%ymm31, %%ymm25\n" \
    "vpsrld $3, %%ymm26, %%ymm31\n" \
    "vpaddd %%ymm29, %%ymm26, %%ymm16\n" \
    "vpxord %%ymm31, %%ymm25, %%ymm26\n" \
    "vmovq 1184(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm5, %%xmm6\n" \
    "vpaddd %%ymm26, %%ymm27, %%ymm25\n" \
    "vprord $7, %%ymm23, %%ymm31\n" \
    "vprord $18, %%ymm23, %%ymm27\n" \
    "vmovq 1192(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm7, %%xmm8\n" \
    "vpxord %%ymm27, %%ymm31, %%ymm26\n" \
    "vpsrld $3, %%ymm23, %%ymm31\n" \
    "vpxord %%ymm31, %%ymm26, %%ymm27\n" \
    "vpaddd %%ymm27, %%ymm16, %%ymm26\n" \
    "vmovq 1168(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm9, %%xmm10\n" \
    "vprord $17, %%ymm30, %%ymm31\n" \
    "vprord $19, %%ymm30, %%ymm16\n" \
    "vpxord %%ymm16, %%ymm31, %%ymm27\n" \
    "vmovq 1176(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm11, %%xmm12\n" \
    "vpsrld $10, %%ymm30, %%ymm31\n" \
    "vpxord %%ymm31, %%ymm27, %%ymm16\n" \
    "vpaddd %%ymm16, %%ymm25, %%ymm27\n" \
    "vmovq 1216(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm2, %%xmm1\n" \
    "vprord $17, %%ymm13, %%ymm31\n" \
    "vprord $19, %%ymm13, %%ymm25\n" \
    "vpxord %%ymm25, %%ymm31, %%ymm16\n" \
    "vpsrld $10, %%ymm13, %%ymm31\n" \
    "vmovq 1224(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm4, %%xmm3\n" \
    "vpxord %%ymm31, %%ymm16, %%ymm25\n" \
    "vpaddd %%ymm25, %%ymm26, %%ymm16\n" \
    "vpaddd 128(%[k])%{1to8%}, %%ymm27, %%ymm31\n" \
    "vmovq 1248(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm6, %%xmm5\n" \
    "vpaddd 132(%[k])%{1to8%}, %%ymm16, %%ymm26\n" \
    "vpunpckldq %%ymm26, %%ymm31, %%ymm25\n" \
    "vpunpckhdq %%ymm26, %%ymm31, %%ymm31\n" \
    "vmovdqa32 %%ymm25, 1024(%[wk_next])\n" \
    "vmovq 1256(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm8, %%xmm7\n" \
    "vmovdqa32 %%ymm31, 1056(%[wk_next])\n" \
    "prefetcht0 (%[ahead],%[stride],2)\n" \
    "vpaddd %%ymm21, %%ymm23, %%ymm26\n" \
    "vmovq 1232(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm10, %%xmm9\n" \
    "vprord $7, %%ymm17, %%ymm25\n" \
    "vprord $18, %%ymm17, %%ymm31\n" \
    "vpxord %%ymm31, %%ymm25, %%ymm23\n" \
    "vpsrld $3, %%ymm17, %%ymm25\n" \
    "vmovq 1240(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm12, %%xmm11\n" \
    "vpaddd %%ymm20, %%ymm17, %%ymm31\n" \
    "vpxord %%ymm25, %%ymm23, %%ymm17\n" \
    "vpaddd %%ymm17, %%ymm26, %%ymm23\n" \
    "vmovq 1280(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm1, %%xmm2\n" \
    "vprord $7, %%ymm28, %%ymm25\n" \
    "vprord $18, %%ymm28, %%ymm26\n" \
    "vpxord %%ymm26, %%ymm25, %%ymm17\n" \
    "vpsrld $3, %%ymm28, %%ymm25\n" \
    "vmovq 1288(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm3, %%xmm4\n" \
    "vpxord %%ymm25, %%ymm17, %%ymm26\n" \
    "vpaddd %%ymm26, %%ymm31, %%ymm17\n" \
    "vprord $17, %%ymm27, %%ymm25\n" \
    "vmovq 1312(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm5, %%xmm6\n" \
    "vprord $19, %%ymm27, %%ymm31\n" \
    "vpxord %%ymm31, %%ymm25, %%ymm26\n" \
    "vpsrld $10, %%ymm27, %%ymm25\n" \
    "vpxord %%ymm25, %%ymm26, %%ymm31\n" \
    "vmovq 1320(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm7, %%xmm8\n" \
    "vpaddd %%ymm31, %%ymm23, %%ymm26\n" \
    "vprord $17, %%ymm16, %%ymm25\n" \
    "vprord $19, %%ymm16, %%ymm23\n" \
    "vmovq 1296(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm9, %%xmm10\n" \
    "vpxord %%ymm23, %%ymm25, %%ymm31\n" \
    "vpsrld $10, %%ymm16, %%ymm25\n" \
    "vpxord %%ymm25, %%ymm31, %%ymm23\n" \
    "vpaddd %%ymm23, %%ymm17, %%ymm31\n" \
    "vmovq 1304(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm11, %%xmm12\n" \
    "vpaddd 136(%[k])%{1to8%}, %%ymm26, %%ymm25\n" \
    "vpaddd 140(%[k])%{1to8%}, %%ymm31, %%ymm17\n" \
    "vpunpckldq %%ymm17, %%ymm25, %%ymm23\n" \
    "vmovq 1344(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm2, %%xmm1\n" \
    "vpunpckhdq %%ymm17, %%ymm25, %%ymm25\n" \
    "vmovdqa32 %%ymm23, 1088(%[wk_next])\n" \
    "vmovdqa32 %%ymm25, 1120(%[wk_next])\n" \
    "prefetcht0 (%[ahead],%[stride3])\n" \
    "vmovq 1352(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm4, %%xmm3\n" \
    "vpaddd %%ymm15, %%ymm28, %%ymm17\n" \
    "vprord $7, %%ymm18, %%ymm23\n" \
    "vprord $18, %%ymm18, %%ymm25\n" \
    "vmovq 1376(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm6, %%xmm5\n" \
    "vpxord %%ymm25, %%ymm23, %%ymm28\n" \
    "vpsrld $3, %%ymm18, %%ymm23\n" \
    "vpaddd %%ymm30, %%ymm18, %%ymm25\n" \
    "vpxord %%ymm23, %%ymm28, %%ymm18\n" \
    "vmovq 1384(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm8, %%xmm7\n" \
    "vpaddd %%ymm18, %%ymm17, %%ymm28\n" \
    "vprord $7, %%ymm22, %%ymm23\n" \
    "vprord $18, %%ymm22, %%ymm17\n" \
    "vmovq 1360(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm10, %%xmm9\n" \
    "vpxord %%ymm17, %%ymm23, %%ymm18\n" \
    "vpsrld $3, %%ymm22, %%ymm23\n" \
    "vpxord %%ymm23, %%ymm18, %%ymm17\n" \
    "vpaddd %%ymm13, %%ymm22, %%ymm18\n" \
    "vmovq 1368(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm12, %%xmm11\n" \
    "vpaddd %%ymm17, %%ymm25, %%ymm23\n" \
    "vprord $17, %%ymm26, %%ymm22\n" \
    "vprord $19, %%ymm26, %%ymm25\n" \
    "vmovq 1408(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm1, %%xmm2\n" \
    "vpxord %%ymm25, %%ymm22, %%ymm17\n" \
    "vpsrld $10, %%ymm26, %%ymm22\n" \
    "vpxord %%ymm22, %%ymm17, %%ymm25\n" \
    "vpaddd %%ymm25, %%ymm28, %%ymm17\n" \
    "vmovq 1416(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm3, %%xmm4\n" \
    "vprord $17, %%ymm31, %%ymm22\n" \
    "vprord $19, %%ymm31, %%ymm28\n" \
    "vpxord %%ymm28, %%ymm22, %%ymm25\n" \
    "vmovq 1440(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm5, %%xmm6\n" \
    "vpsrld $10, %%ymm31, %%ymm22\n" \
    "vpxord %%ymm22, %%ymm25, %%ymm28\n" \
    "vpaddd %%ymm28, %%ymm23, %%ymm25\n" \
    "vpaddd 144(%[k])%{1to8%}, %%ymm17, %%ymm22\n" \
    "vmovq 1448(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm7, %%xmm8\n" \
    "vpaddd 148(%[k])%{1to8%}, %%ymm25, %%ymm23\n" \
    "vpunpckldq %%ymm23, %%ymm22, %%ymm28\n" \
    "vpunpckhdq %%ymm23, %%ymm22, %%ymm22\n" \
    "vmovq 1424(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm9, %%xmm10\n" \
    "vmovdqa32 %%ymm28, 1152(%[wk_next])\n" \
    "vmovdqa32 %%ymm22, 1184(%[wk_next])\n" \
    "vprord $7, %%ymm24, %%ymm23\n" \
    "vprord $18, %%ymm24, %%ymm28\n" \
    "vmovq 1432(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm11, %%xmm12\n" \
    "vpxord %%ymm28, %%ymm23, %%ymm22\n" \
    "vpsrld $3, %%ymm24, %%ymm23\n" \
    "vpaddd %%ymm27, %%ymm24, %%ymm28\n" \
    "vmovq 1472(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm2, %%xmm1\n" \
    "vpxord %%ymm23, %%ymm22, %%ymm24\n" \
    "vpaddd %%ymm24, %%ymm18, %%ymm22\n" \
    "vprord $7, %%ymm19, %%ymm23\n" \
    "vprord $18, %%ymm19, %%ymm18\n" \
    "vmovq 1480(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm4, %%xmm3\n" \
    "vpxord %%ymm18, %%ymm23, %%ymm24\n" \
    "vpsrld $3, %%ymm19, %%ymm23\n" \
    "vpxord %%ymm23, %%ymm24, %%ymm18\n" \
    "vmovq 1504(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm6, %%xmm5\n" \
    "vpaddd %%ymm16, %%ymm19, %%ymm24\n" \
    "vpaddd %%ymm18, %%ymm28, %%ymm23\n" \
    "vprord $17, %%ymm17, %%ymm19\n" \
    "vprord $19, %%ymm17, %%ymm28\n" \
    "vmovq 1512(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm8, %%xmm7\n" \
    "vpxord %%ymm28, %%ymm19, %%ymm18\n" \
    "vpsrld $10, %%ymm17, %%ymm19\n" \
    "vpxord %%ymm19, %%ymm18, %%ymm28\n" \
    "vmovq 1488(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm10, %%xmm9\n" \
    "vpaddd %%ymm28, %%ymm22, %%ymm18\n" \
    "vprord $17, %%ymm25, %%ymm19\n" \
    "vprord $19, %%ymm25, %%ymm22\n" \
    "vmovq 1496(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm12, %%xmm11\n" \
    "vpxord %%ymm22, %%ymm19, %%ymm28\n" \
    "vpsrld $10, %%ymm25, %%ymm19\n" \
    "vpxord %%ymm19, %%ymm28, %%ymm22\n" \
    "vpaddd %%ymm22, %%ymm23, %%ymm28\n" \
    "vmovq 1536(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm1, %%xmm2\n" \
    "vpaddd 152(%[k])%{1to8%}, %%ymm18, %%ymm19\n" \
    "vpaddd 156(%[k])%{1to8%}, %%ymm28, %%ymm23\n" \
    "vpunpckldq %%ymm23, %%ymm19, %%ymm22\n" \
    "vmovq 1544(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm3, %%xmm4\n" \
    "vpunpckhdq %%ymm23, %%ymm19, %%ymm19\n" \
    "vmovdqa32 %%ymm22, 1216(%[wk_next])\n" \
    "vmovdqa32 %%ymm19, 1248(%[wk_next])\n" \
    "vprord $7, %%ymm14, %%ymm23\n" \
    "vmovq 1568(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm5, %%xmm6\n" \
    "vprord $18, %%ymm14, %%ymm22\n" \
    "vpxord %%ymm22, %%ymm23, %%ymm19\n" \
    "vpsrld $3, %%ymm14, %%ymm23\n" \
    "vmovq 1576(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm7, %%xmm8\n" \
    "vpaddd %%ymm26, %%ymm14, %%ymm22\n" \
    "vpxord %%ymm23, %%ymm19, %%ymm14\n" \
    "vpaddd %%ymm14, %%ymm24, %%ymm19\n" \
    "vprord $7, %%ymm29, %%ymm23\n" \
    "vmovq 1552(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm9, %%xmm10\n" \
    "vprord $18, %%ymm29, %%ymm24\n" \
    "vpxord %%ymm24, %%ymm23, %%ymm14\n" \
    "vpsrld $3, %%ymm29, %%ymm23\n" \
    "vmovq 1560(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm11, %%xmm12\n" \
    "vpxord %%ymm23, %%ymm14, %%ymm24\n" \
    "vpaddd %%ymm31, %%ymm29, %%ymm14\n" \
    "vpaddd %%ymm24, %%ymm22, %%ymm23\n" \
    "vprord $17, %%ymm18, %%ymm29\n" \
    "vmovq 1600(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm2, %%xmm1\n" \
    "vprord $19, %%ymm18, %%ymm22\n" \
    "vpxord %%ymm22, %%ymm29, %%ymm24\n" \
    "vpsrld $10, %%ymm18, %%ymm29\n" \
    "vmovq 1608(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm4, %%xmm3\n" \
    "vpxord %%ymm29, %%ymm24, %%ymm22\n" \
    "vpaddd %%ymm22, %%ymm19, %%ymm24\n" \
    "vprord $17, %%ymm28, %%ymm29\n" \
    "vprord $19, %%ymm28, %%ymm19\n" \
    "vmovq 1632(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm6, %%xmm5\n" \
    "vpxord %%ymm19, %%ymm29, %%ymm22\n" \
    "vpsrld $10, %%ymm28, %%ymm29\n" \
    "vpxord %%ymm29, %%ymm22, %%ymm19\n" \
    "vmovq 1640(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm8, %%xmm7\n" \
    "vpaddd %%ymm19, %%ymm23, %%ymm22\n" \
    "vpaddd 160(%[k])%{1to8%}, %%ymm24, %%ymm29\n" \
    "vpaddd 164(%[k])%{1to8%}, %%ymm22, %%ymm23\n" \
    "vpunpckldq %%ymm23, %%ymm29, %%ymm19\n" \
    "vmovq 1616(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm10, %%xmm9\n" \
    "vpunpckhdq %%ymm23, %%ymm29, %%ymm29\n" \
    "vmovdqa32 %%ymm19, 1280(%[wk_next])\n" \
    "vmovdqa32 %%ymm29, 1312(%[wk_next])\n" \
    "vmovq 1624(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm12, %%xmm11\n" \
    "vprord $7, %%ymm21, %%ymm23\n" \
    "vprord $18, %%ymm21, %%ymm19\n" \
    "vpxord %%ymm19, %%ymm23, %%ymm29\n" \
    "vpsrld $3, %%ymm21, %%ymm23\n" \
    "vmovq 1664(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm1, %%xmm2\n" \
    "vpaddd %%ymm17, %%ymm21, %%ymm19\n" \
    "vpxord %%ymm23, %%ymm29, %%ymm21\n" \
    "vpaddd %%ymm21, %%ymm14, %%ymm29\n" \
    "vmovq 1672(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm3, %%xmm4\n" \
    "vprord $7, %%ymm20, %%ymm23\n" \
    "vprord $18, %%ymm20, %%ymm14\n" \
    "vpxord %%ymm14, %%ymm23, %%ymm21\n" \
    "vpsrld $3, %%ymm20, %%ymm23\n" \
    "vmovq 1696(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm5, %%xmm6\n" \
    "vpxord %%ymm23, %%ymm21, %%ymm14\n" \
    "vpaddd %%ymm25, %%ymm20, %%ymm21\n" \
    "vpaddd %%ymm14, %%ymm19, %%ymm23\n" \
    "vmovq 1704(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm7, %%xmm8\n" \
    "vprord $17, %%ymm24, %%ymm20\n" \
    "vprord $19, %%ymm24, %%ymm19\n" \
    "vpxord %%ymm19, %%ymm20, %%ymm14\n" \
    "vpsrld $10, %%ymm24, %%ymm20\n" \
    "vmovq 1680(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm9, %%xmm10\n" \
    "vpxord %%ymm20, %%ymm14, %%ymm19\n" \
    "vpaddd %%ymm19, %%ymm29, %%ymm14\n" \
    "vprord $17, %%ymm22, %%ymm20\n" \
    "vmovq 1688(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm11, %%xmm12\n" \
    "vprord $19, %%ymm22, %%ymm29\n" \
    "vpxord %%ymm29, %%ymm20, %%ymm19\n" \
    "vpsrld $10, %%ymm22, %%ymm20\n" \
    "vpxord %%ymm20, %%ymm19, %%ymm29\n" \
    "vmovq 1728(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm2, %%xmm1\n" \
    "vpaddd %%ymm29, %%ymm23, %%ymm19\n" \
    "vpaddd 168(%[k])%{1to8%}, %%ymm14, %%ymm20\n" \
    "vpaddd 172(%[k])%{1to8%}, %%ymm19, %%ymm23\n" \
    "vmovq 1736(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm4, %%xmm3\n" \
    "vpunpckldq %%ymm23, %%ymm20, %%ymm29\n" \
    "vpunpckhdq %%ymm23, %%ymm20, %%ymm20\n" \
    "vmovdqa32 %%ymm29, 1344(%[wk_next])\n" \
    "vmovdqa32 %%ymm20, 1376(%[wk_next])\n" \
    "vmovq 1760(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm6, %%xmm5\n" \
    "vprord $7, %%ymm15, %%ymm23\n" \
    "vprord $18, %%ymm15, %%ymm29\n" \
    "vpxord %%ymm29, %%ymm23, %%ymm20\n" \
    "vmovq 1768(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm8, %%xmm7\n" \
    "vpsrld $3, %%ymm15, %%ymm23\n" \
    "vpaddd %%ymm18, %%ymm15, %%ymm29\n" \
    "vpxord %%ymm23, %%ymm20, %%ymm15\n" \
    "vpaddd %%ymm15, %%ymm21, %%ymm20\n" \
    "vmovq 1744(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm10, %%xmm9\n" \
    "vprord $7, %%ymm30, %%ymm23\n" \
    "vprord $18, %%ymm30, %%ymm21\n" \
    "vpxord %%ymm21, %%ymm23, %%ymm15\n" \
    "vmovq 1752(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm12, %%xmm11\n" \
    "vpsrld $3, %%ymm30, %%ymm23\n" \
    "vpxord %%ymm23, %%ymm15, %%ymm21\n" \
    "vpaddd %%ymm28, %%ymm30, %%ymm15\n" \
    "vpaddd %%ymm21, %%ymm29, %%ymm23\n" \
    "vmovq 1792(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm1, %%xmm2\n" \
    "vprord $17, %%ymm14, %%ymm30\n" \
    "vprord $19, %%ymm14, %%ymm29\n" \
    "vpxord %%ymm29, %%ymm30, %%ymm21\n" \
    "vmovq 1800(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm3, %%xmm4\n" \
    "vpsrld $10, %%ymm14, %%ymm30\n" \
    "vpxord %%ymm30, %%ymm21, %%ymm29\n" \
    "vpaddd %%ymm29, %%ymm20, %%ymm21\n" \
    "vprord $17, %%ymm19, %%ymm30\n" \
    "vmovq 1824(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm5, %%xmm6\n" \
    "vprord $19, %%ymm19, %%ymm20\n" \
    "vpxord %%ymm20, %%ymm30, %%ymm29\n" \
    "vpsrld $10, %%ymm19, %%ymm30\n" \
    "vmovq 1832(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm7, %%xmm8\n" \
    "vpxord %%ymm30, %%ymm29, %%ymm20\n" \
    "vpaddd %%ymm20, %%ymm23, %%ymm29\n" \
    "vpaddd 176(%[k])%{1to8%}, %%ymm21, %%ymm30\n" \
    "vmovq 1808(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm9, %%xmm10\n" \
    "vpaddd 180(%[k])%{1to8%}, %%ymm29, %%ymm23\n" \
    "vpunpckldq %%ymm23, %%ymm30, %%ymm20\n" \
    "vpunpckhdq %%ymm23, %%ymm30, %%ymm30\n" \
    "vmovdqa32 %%ymm20, 1408(%[wk_next])\n" \
    "vmovq 1816(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm11, %%xmm12\n" \
    "vmovdqa32 %%ymm30, 1440(%[wk_next])\n" \
    "vprord $7, %%ymm13, %%ymm23\n" \
    "vprord $18, %%ymm13, %%ymm20\n" \
    "vmovq 1856(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm2, %%xmm1\n" \
    "vpxord %%ymm20, %%ymm23, %%ymm30\n" \
    "vpsrld $3, %%ymm13, %%ymm23\n" \
    "vpaddd %%ymm24, %%ymm13, %%ymm20\n" \
    "vpxord %%ymm23, %%ymm30, %%ymm13\n" \
    "vmovq 1864(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm4, %%xmm3\n" \
    "vpaddd %%ymm13, %%ymm15, %%ymm30\n" \
    "vprord $7, %%ymm27, %%ymm23\n" \
    "vprord $18, %%ymm27, %%ymm15\n" \
    "vmovq 1888(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm6, %%xmm5\n" \
    "vpxord %%ymm15, %%ymm23, %%ymm13\n" \
    "vpsrld $3, %%ymm27, %%ymm23\n" \
    "vpxord %%ymm23, %%ymm13, %%ymm15\n" \
    "vpaddd %%ymm22, %%ymm27, %%ymm13\n" \
    "vmovq 1896(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm8, %%xmm7\n" \
    "vpaddd %%ymm15, %%ymm20, %%ymm23\n" \
    "vprord $17, %%ymm21, %%ymm27\n" \
    "vprord $19, %%ymm21, %%ymm20\n" \
    "vmovq 1872(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm10, %%xmm9\n" \
    "vpxord %%ymm20, %%ymm27, %%ymm15\n" \
    "vpsrld $10, %%ymm21, %%ymm27\n" \
    "vpxord %%ymm27, %%ymm15, %%ymm20\n" \
    "vpaddd %%ymm20, %%ymm30, %%ymm15\n" \
    "vmovq 1880(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm12, %%xmm11\n" \
    "vprord $17, %%ymm29, %%ymm27\n" \
    "vprord $19, %%ymm29, %%ymm30\n" \
    "vpxord %%ymm30, %%ymm27, %%ymm20\n" \
    "vmovq 1920(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm1, %%xmm2\n" \
    "vpsrld $10, %%ymm29, %%ymm27\n" \
    "vpxord %%ymm27, %%ymm20, %%ymm30\n" \
    "vpaddd %%ymm30, %%ymm23, %%ymm20\n" \
    "vpaddd 184(%[k])%{1to8%}, %%ymm15, %%ymm27\n" \
    "vmovq 1928(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm3, %%xmm4\n" \
    "vpaddd 188(%[k])%{1to8%}, %%ymm20, %%ymm23\n" \
    "vpunpckldq %%ymm23, %%ymm27, %%ymm30\n" \
    "vpunpckhdq %%ymm23, %%ymm27, %%ymm27\n" \
    "vmovq 1952(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm5, %%xmm6\n" \
    "vmovdqa32 %%ymm30, 1472(%[wk_next])\n" \
    "vmovdqa32 %%ymm27, 1504(%[wk_next])\n" \
    "vprord $7, %%ymm16, %%ymm23\n" \
    "vprord $18, %%ymm16, %%ymm30\n" \
    "vmovq 1960(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm7, %%xmm8\n" \
    "vpxord %%ymm30, %%ymm23, %%ymm27\n" \
    "vpsrld $3, %%ymm16, %%ymm23\n" \
    "vpaddd %%ymm14, %%ymm16, %%ymm30\n" \
    "vmovq 1936(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm9, %%xmm10\n" \
    "vpxord %%ymm23, %%ymm27, %%ymm16\n" \
    "vpaddd %%ymm16, %%ymm13, %%ymm27\n" \
    "vprord $7, %%ymm26, %%ymm23\n" \
    "vprord $18, %%ymm26, %%ymm13\n" \
    "vmovq 1944(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm11, %%xmm12\n" \
    "vpxord %%ymm13, %%ymm23, %%ymm16\n" \
    "vpsrld $3, %%ymm26, %%ymm23\n" \
    "vpxord %%ymm23, %%ymm16, %%ymm13\n" \
    "vmovq 1984(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm2, %%xmm1\n" \
    "vpaddd %%ymm19, %%ymm26, %%ymm16\n" \
    "vpaddd %%ymm13, %%ymm30, %%ymm23\n" \
    "vprord $17, %%ymm15, %%ymm26\n" \
    "vprord $19, %%ymm15, %%ymm30\n" \
    "vmovq 1992(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm4, %%xmm3\n" \
    "vpxord %%ymm30, %%ymm26, %%ymm13\n" \
    "vpsrld $10, %%ymm15, %%ymm26\n" \
    "vpxord %%ymm26, %%ymm13, %%ymm30\n" \
    "vmovq 2016(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm6, %%xmm5\n" \
    "vpaddd %%ymm30, %%ymm27, %%ymm13\n" \
    "vprord $17, %%ymm20, %%ymm26\n" \
    "vprord $19, %%ymm20, %%ymm27\n" \
    "vpxord %%ymm27, %%ymm26, %%ymm30\n" \
    "vmovq 2024(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm8, %%xmm7\n" \
    "vpsrld $10, %%ymm20, %%ymm26\n" \
    "vpxord %%ymm26, %%ymm30, %%ymm27\n" \
    "vpaddd %%ymm27, %%ymm23, %%ymm30\n" \
    "vmovq 2000(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm10, %%xmm9\n" \
    "vpaddd 192(%[k])%{1to8%}, %%ymm13, %%ymm26\n" \
    "vpaddd 196(%[k])%{1to8%}, %%ymm30, %%ymm23\n" \
    "vpunpckldq %%ymm23, %%ymm26, %%ymm27\n" \
    "vpunpckhdq %%ymm23, %%ymm26, %%ymm26\n" \
    "vmovq 2008(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm12, %%xmm11\n" \
    "vmovdqa32 %%ymm27, 1536(%[wk_next])\n" \
    "vmovdqa32 %%ymm26, 1568(%[wk_next])\n" \
    "vprord $7, %%ymm31, %%ymm23\n" \
    "vpaddd 0(%[state]), %%xmm1, %%xmm1\n" \
    "vmovdqa %%xmm1, 0(%[state])\n" \
    "vpaddd 16(%[state]), %%xmm2, %%xmm2\n" \
    "vmovdqa %%xmm2, 16(%[state])\n" \
    "vpaddd 32(%[state]), %%xmm3, %%xmm3\n" \
    "vmovdqa %%xmm3, 32(%[state])\n" \
    "vpaddd 48(%[state]), %%xmm4, %%xmm4\n" \
    "vmovdqa %%xmm4, 48(%[state])\n" \
    "vpaddd 64(%[state]), %%xmm5, %%xmm5\n" \
    "vmovdqa %%xmm5, 64(%[state])\n" \
    "vpaddd 80(%[state]), %%xmm6, %%xmm6\n" \
    "vmovdqa %%xmm6, 80(%[state])\n" \
    "vpaddd 96(%[state]), %%xmm7, %%xmm7\n" \
    "vmovdqa %%xmm7, 96(%[state])\n" \
    "vpaddd 112(%[state]), %%xmm8, %%xmm8\n" \
    "vmovdqa %%xmm8, 112(%[state])\n" \
    "vpaddd 128(%[state]), %%xmm9, %%xmm9\n" \
    "vmovdqa %%xmm9, 128(%[state])\n" \
    "vpaddd 144(%[state]), %%xmm10, %%xmm10\n" \
    "vmovdqa %%xmm10, 144(%[state])\n" \
    "vpaddd 160(%[state]), %%xmm11, %%xmm11\n" \
    "vmovdqa %%xmm11, 160(%[state])\n" \
    "vpaddd 176(%[state]), %%xmm12, %%xmm12\n" \
    "vmovdqa %%xmm12, 176(%[state])\n" \
    "vmovdqa 192(%[state]), %%xmm1\n" \
    "vmovdqa 208(%[state]), %%xmm2\n" \
    "vmovdqa 224(%[state]), %%xmm3\n" \
    "vmovdqa 240(%[state]), %%xmm4\n" \
    "vmovdqa 256(%[state]), %%xmm5\n" \
    "vmovdqa 272(%[state]), %%xmm6\n" \
    "vmovdqa 288(%[state]), %%xmm7\n" \
    "vmovdqa 304(%[state]), %%xmm8\n" \
    "vmovdqa 320(%[state]), %%xmm9\n" \
    "vmovdqa 336(%[state]), %%xmm10\n" \
    "vmovq 80(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm1, %%xmm2\n" \
    "vprord $18, %%ymm31, %%ymm27\n" \
    "vpsrld $3, %%ymm31, %%ymm26\n" \
    "vpaddd %%ymm21, %%ymm31, %%ymm11\n" \
    "vpxord %%ymm27, %%ymm23, %%ymm12\n" \
    "vmovq 112(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm3, %%xmm4\n" \
    "vprord $7, %%ymm17, %%ymm31\n" \
    "vpxord %%ymm26, %%ymm12, %%ymm23\n" \
    "vprord $18, %%ymm17, %%ymm27\n" \
    "vmovq 2048(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm5, %%xmm6\n" \
    "vpaddd %%ymm23, %%ymm16, %%ymm12\n" \
    "vpsrld $3, %%ymm17, %%ymm26\n" \
    "vpxord %%ymm27, %%ymm31, %%ymm16\n" \
    "vprord $17, %%ymm13, %%ymm23\n" \
    "vmovq 2080(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm7, %%xmm8\n" \
    "vpaddd %%ymm29, %%ymm17, %%ymm31\n" \
    "vpxord %%ymm26, %%ymm16, %%ymm27\n" \
    "vprord $19, %%ymm13, %%ymm17\n" \
    "vmovq 2112(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm9, %%xmm10\n" \
    "vpaddd %%ymm27, %%ymm11, %%ymm16\n" \
    "vpsrld $10, %%ymm13, %%ymm26\n" \
    "vpxord %%ymm17, %%ymm23, %%ymm11\n" \
    "vprord $17, %%ymm30, %%ymm27\n" \
    "vmovq 88(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm2, %%xmm1\n" \
    "vpxord %%ymm26, %%ymm11, %%ymm23\n" \
    "vprord $19, %%ymm30, %%ymm17\n" \
    "vpaddd %%ymm23, %%ymm12, %%ymm11\n" \
    "vmovq 120(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm4, %%xmm3\n" \
    "vpsrld $10, %%ymm30, %%ymm26\n" \
    "vpxord %%ymm17, %%ymm27, %%ymm12\n" \
    "vpaddd 200(%[k])%{1to8%}, %%ymm11, %%ymm23\n" \
    "vpxord %%ymm26, %%ymm12, %%ymm27\n" \
    "vmovq 2056(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm6, %%xmm5\n" \
    "vprord $7, %%ymm25, %%ymm17\n" \
    "vpaddd %%ymm27, %%ymm16, %%ymm12\n" \
    "vprord $18, %%ymm25, %%ymm26\n" \
    "vmovq 2088(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm8, %%xmm7\n" \
    "vpaddd 204(%[k])%{1to8%}, %%ymm12, %%ymm16\n" \
    "vpxord %%ymm26, %%ymm17, %%ymm27\n" \
    "vpunpckldq %%ymm16, %%ymm23, %%ymm17\n" \
    "vmovq 2120(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm10, %%xmm9\n" \
    "vpunpckhdq %%ymm16, %%ymm23, %%ymm26\n" \
    "vmovdqa32 %%ymm17, 1600(%[wk_next])\n" \
    "vpsrld $3, %%ymm25, %%ymm23\n" \
    "vmovdqa32 %%ymm26, 1632(%[wk_next])\n" \
    "vmovq 208(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm1, %%xmm2\n" \
    "vpaddd %%ymm15, %%ymm25, %%ymm16\n" \
    "vpxord %%ymm23, %%ymm27, %%ymm17\n" \
    "vprord $7, %%ymm18, %%ymm26\n" \
    "vmovq 240(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm3, %%xmm4\n" \
    "vprord $18, %%ymm18, %%ymm25\n" \
    "vpaddd %%ymm17, %%ymm31, %%ymm27\n" \
    "vpsrld $3, %%ymm18, %%ymm23\n" \
    "vpxord %%ymm25, %%ymm26, %%ymm31\n" \
    "vmovq 2176(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm5, %%xmm6\n" \
    "vprord $17, %%ymm11, %%ymm17\n" \
    "vpaddd %%ymm20, %%ymm18, %%ymm26\n" \
    "vpxord %%ymm23, %%ymm31, %%ymm25\n" \
    "vmovq 2208(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm7, %%xmm8\n" \
    "vprord $19, %%ymm11, %%ymm18\n" \
    "vpaddd %%ymm25, %%ymm16, %%ymm31\n" \
    "vpsrld $10, %%ymm11, %%ymm23\n" \
    "vpxord %%ymm18, %%ymm17, %%ymm16\n" \
    "vmovq 2240(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm9, %%xmm10\n" \
    "vprord $17, %%ymm12, %%ymm25\n" \
    "vpxord %%ymm23, %%ymm16, %%ymm17\n" \
    "vprord $19, %%ymm12, %%ymm18\n" \
    "vmovq 216(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm2, %%xmm1\n" \
    "vpaddd %%ymm17, %%ymm27, %%ymm16\n" \
    "vpsrld $10, %%ymm12, %%ymm23\n" \
    "vpxord %%ymm18, %%ymm25, %%ymm27\n" \
    "vpaddd 208(%[k])%{1to8%}, %%ymm16, %%ymm17\n" \
    "vmovq 248(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm4, %%xmm3\n" \
    "vpxord %%ymm23, %%ymm27, %%ymm25\n" \
    "vprord $7, %%ymm28, %%ymm18\n" \
    "vpaddd %%ymm25, %%ymm31, %%ymm27\n" \
    "vmovq 2184(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm6, %%xmm5\n" \
    "vprord $18, %%ymm28, %%ymm23\n" \
    "vpaddd 212(%[k])%{1to8%}, %%ymm27, %%ymm31\n" \
    "vpxord %%ymm23, %%ymm18, %%ymm25\n" \
    "vpunpckldq %%ymm31, %%ymm17, %%ymm18\n" \
    "vmovq 2216(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm8, %%xmm7\n" \
    "vpunpckhdq %%ymm31, %%ymm17, %%ymm23\n" \
    "vmovdqa32 %%ymm18, 1664(%[wk_next])\n" \
    "vpsrld $3, %%ymm28, %%ymm17\n" \
    "vmovq 2248(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm10, %%xmm9\n" \
    "vmovdqa32 %%ymm23, 1696(%[wk_next])\n" \
    "vpaddd %%ymm13, %%ymm28, %%ymm31\n" \
    "vpxord %%ymm17, %%ymm25, %%ymm18\n" \
    "vprord $7, %%ymm24, %%ymm23\n" \
    "vmovq 336(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm1, %%xmm2\n" \
    "vprord $18, %%ymm24, %%ymm28\n" \
    "vpaddd %%ymm18, %%ymm26, %%ymm25\n" \
    "vpsrld $3, %%ymm24, %%ymm17\n" \
    "vmovq 368(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm3, %%xmm4\n" \
    "vpxord %%ymm28, %%ymm23, %%ymm26\n" \
    "vprord $17, %%ymm16, %%ymm18\n" \
    "vpaddd %%ymm30, %%ymm24, %%ymm23\n" \
    "vpxord %%ymm17, %%ymm26, %%ymm28\n" \
    "vmovq 2304(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm5, %%xmm6\n" \
    "vprord $19, %%ymm16, %%ymm24\n" \
    "vpsrld $10, %%ymm16, %%ymm30\n" \
    "vpaddd %%ymm28, %%ymm31, %%ymm26\n" \
    "vmovq 2336(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm7, %%xmm8\n" \
    "vpxord %%ymm24, %%ymm18, %%ymm17\n" \
    "vprord $17, %%ymm27, %%ymm31\n" \
    "vprord $19, %%ymm27, %%ymm28\n" \
    "vpxord %%ymm30, %%ymm17, %%ymm18\n" \
    "vmovq 2368(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm9, %%xmm10\n" \
    "vpsrld $10, %%ymm27, %%ymm24\n" \
    "vpxord %%ymm28, %%ymm31, %%ymm17\n" \
    "vpaddd %%ymm18, %%ymm25, %%ymm30\n" \
    "vmovq 344(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm2, %%xmm1\n" \
    "vprord $7, %%ymm22, %%ymm31\n" \
    "vpxord %%ymm24, %%ymm17, %%ymm28\n" \
    "vpaddd 216(%[k])%{1to8%}, %%ymm30, %%ymm25\n" \
    "vprord $18, %%ymm22, %%ymm18\n" \
    "vmovq 376(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm4, %%xmm3\n" \
    "vpaddd %%ymm28, %%ymm26, %%ymm17\n" \
    "vpsrld $3, %%ymm22, %%ymm24\n" \
    "vpxord %%ymm18, %%ymm31, %%ymm26\n" \
    "vmovq 2312(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm6, %%xmm5\n" \
    "vpaddd 220(%[k])%{1to8%}, %%ymm17, %%ymm28\n" \
    "vpaddd %%ymm11, %%ymm22, %%ymm31\n" \
    "vpxord %%ymm24, %%ymm26, %%ymm18\n" \
    "vpunpckldq %%ymm28, %%ymm25, %%ymm22\n" \
    "vmovq 2344(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm8, %%xmm7\n" \
    "vpunpckhdq %%ymm28, %%ymm25, %%ymm11\n" \
    "vpaddd %%ymm18, %%ymm23, %%ymm26\n" \
    "vmovdqa32 %%ymm22, 1728(%[wk_next])\n" \
    "vmovq 2376(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm10, %%xmm9\n" \
    "vmovdqa %%ymm11, 1760(%[wk_next])\n" \
    "vprord $7, %%ymm14, %%ymm24\n" \
    "vprord $18, %%ymm14, %%ymm25\n" \
    "vpsrld $3, %%ymm14, %%ymm28\n" \
    "vmovq 464(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm1, %%xmm2\n" \
    "vprord $17, %%ymm30, %%ymm23\n" \
    "vpxord %%ymm25, %%ymm24, %%ymm18\n" \
    "vprord $19, %%ymm30, %%ymm22\n" \
    "vmovq 496(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm3, %%xmm4\n" \
    "vpsrld $10, %%ymm30, %%ymm11\n" \
    "vpxord %%ymm28, %%ymm18, %%ymm24\n" \
    "vpxord %%ymm22, %%ymm23, %%ymm25\n" \
    "vprord $17, %%ymm17, %%ymm18\n" \
    "vmovq 2432(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm5, %%xmm6\n" \
    "vpaddd %%ymm24, %%ymm31, %%ymm28\n" \
    "vpxord %%ymm11, %%ymm25, %%ymm23\n" \
    "vprord $19, %%ymm17, %%ymm22\n" \
    "vmovq 2464(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm7, %%xmm8\n" \
    "vpsrld $10, %%ymm17, %%ymm31\n" \
    "vpaddd %%ymm23, %%ymm26, %%ymm24\n" \
    "vpxord %%ymm22, %%ymm18, %%ymm25\n" \
    "vpaddd %%ymm12, %%ymm14, %%ymm11\n" \
    "vmovq 2496(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm9, %%xmm10\n" \
    "vpaddd 224(%[k])%{1to8%}, %%ymm24, %%ymm26\n" \
    "vpxord %%ymm31, %%ymm25, %%ymm23\n" \
    "vprord $7, %%ymm19, %%ymm18\n" \
    "vmovq 472(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm2, %%xmm1\n" \
    "vprord $18, %%ymm19, %%ymm22\n" \
    "vpaddd %%ymm23, %%ymm28, %%ymm14\n" \
    "vpsrld $3, %%ymm19, %%ymm12\n" \
    "vmovq 504(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm4, %%xmm3\n" \
    "vpxord %%ymm22, %%ymm18, %%ymm25\n" \
    "vpaddd 228(%[k])%{1to8%}, %%ymm14, %%ymm31\n" \
    "vpaddd %%ymm16, %%ymm19, %%ymm28\n" \
    "vpxord %%ymm12, %%ymm25, %%ymm23\n" \
    "vmovq 2440(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm6, %%xmm5\n" \
    "vpunpckldq %%ymm31, %%ymm26, %%ymm18\n" \
    "vpunpckhdq %%ymm31, %%ymm26, %%ymm22\n" \
    "vpaddd %%ymm23, %%ymm11, %%ymm19\n" \
    "vmovq 2472(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm8, %%xmm7\n" \
    "vmovdqa32 %%ymm18, 1792(%[wk_next])\n" \
    "vmovdqa32 %%ymm22, 1824(%[wk_next])\n" \
    "vprord $7, %%ymm21, %%ymm16\n" \
    "vprord $18, %%ymm21, %%ymm25\n" \
    "vmovq 2504(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm10, %%xmm9\n" \
    "vpsrld $3, %%ymm21, %%ymm12\n" \
    "vprord $17, %%ymm24, %%ymm26\n" \
    "vpxord %%ymm25, %%ymm16, %%ymm31\n" \
    "vmovq 560(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm1, %%xmm2\n" \
    "vprord $19, %%ymm24, %%ymm11\n" \
    "vpsrld $10, %%ymm24, %%ymm23\n" \
    "vpxord %%ymm12, %%ymm31, %%ymm18\n" \
    "vpxord %%ymm11, %%ymm26, %%ymm22\n" \
    "vmovq 568(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm3, %%xmm4\n" \
    "vprord $17, %%ymm14, %%ymm16\n" \
    "vpaddd %%ymm18, %%ymm28, %%ymm25\n" \
    "vpxord %%ymm23, %%ymm22, %%ymm31\n" \
    "vmovq 2560(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm5, %%xmm6\n" \
    "vprord $19, %%ymm14, %%ymm12\n" \
    "vpsrld $10, %%ymm14, %%ymm26\n" \
    "vpaddd %%ymm31, %%ymm19, %%ymm11\n" \
    "vpxord %%ymm12, %%ymm16, %%ymm28\n" \
    "vmovq 2568(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm7, %%xmm8\n" \
    "vpaddd %%ymm27, %%ymm21, %%ymm18\n" \
    "vpaddd 232(%[k])%{1to8%}, %%ymm11, %%ymm22\n" \
    "vpxord %%ymm26, %%ymm28, %%ymm23\n" \
    "vmovq 2592(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm9, %%xmm10\n" \
    "vprord $7, %%ymm29, %%ymm14\n" \
    "vprord $18, %%ymm29, %%ymm19\n" \
    "vpaddd %%ymm23, %%ymm25, %%ymm31\n" \
    "vpsrld $3, %%ymm29, %%ymm16\n" \
    "vmovq 624(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm2, %%xmm1\n" \
    "vpxord %%ymm19, %%ymm14, %%ymm12\n" \
    "vpaddd 236(%[k])%{1to8%}, %%ymm31, %%ymm21\n" \
    "vpaddd %%ymm30, %%ymm29, %%ymm27\n" \
    "vmovq 632(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm4, %%xmm3\n" \
    "vpxord %%ymm16, %%ymm12, %%ymm28\n" \
    "vpunpckldq %%ymm21, %%ymm22, %%ymm26\n" \
    "vpunpckhdq %%ymm21, %%ymm22, %%ymm25\n" \
    "vpaddd %%ymm28, %%ymm18, %%ymm23\n" \
    "vmovq 2624(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm6, %%xmm5\n" \
    "vmovdqa32 %%ymm26, 1856(%[wk_next])\n" \
    "vmovdqa32 %%ymm25, 1888(%[wk_next])\n" \
    "vprord $7, %%ymm15, %%ymm14\n" \
    "vmovq 2632(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm8, %%xmm7\n" \
    "vprord $18, %%ymm15, %%ymm19\n" \
    "vpsrld $3, %%ymm15, %%ymm29\n" \
    "vprord $17, %%ymm11, %%ymm30\n" \
    "vpxord %%ymm19, %%ymm14, %%ymm12\n" \
    "vmovq 2656(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm10, %%xmm9\n" \
    "vprord $19, %%ymm11, %%ymm16\n" \
    "vpsrld $10, %%ymm11, %%ymm22\n" \
    "vpxord %%ymm29, %%ymm12, %%ymm21\n" \
    "vmovq 688(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm1, %%xmm2\n" \
    "vpxord %%ymm16, %%ymm30, %%ymm18\n" \
    "vprord $17, %%ymm31, %%ymm28\n" \
    "vpaddd %%ymm21, %%ymm27, %%ymm26\n" \
    "vpxord %%ymm22, %%ymm18, %%ymm25\n" \
    "vmovq 696(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm3, %%xmm4\n" \
    "vprord $19, %%ymm31, %%ymm14\n" \
    "vpsrld $10, %%ymm31, %%ymm19\n" \
    "vpaddd %%ymm25, %%ymm23, %%ymm11\n" \
    "vmovq 2688(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm5, %%xmm6\n" \
    "vpxord %%ymm14, %%ymm28, %%ymm12\n" \
    "vpaddd %%ymm17, %%ymm15, %%ymm29\n" \
    "vpaddd 240(%[k])%{1to8%}, %%ymm11, %%ymm30\n" \
    "vpxord %%ymm19, %%ymm12, %%ymm16\n" \
    "vmovq 2696(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm7, %%xmm8\n" \
    "vprord $7, %%ymm20, %%ymm27\n" \
    "vprord $18, %%ymm20, %%ymm21\n" \
    "vpaddd %%ymm16, %%ymm26, %%ymm18\n" \
    "vmovq 2720(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm9, %%xmm10\n" \
    "vpsrld $3, %%ymm20, %%ymm22\n" \
    "vpxord %%ymm21, %%ymm27, %%ymm31\n" \
    "vpaddd 244(%[k])%{1to8%}, %%ymm18, %%ymm23\n" \
    "vpaddd %%ymm24, %%ymm20, %%ymm25\n" \
    "vmovq 752(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm2, %%xmm1\n" \
    "vpxord %%ymm22, %%ymm31, %%ymm28\n" \
    "vpunpckldq %%ymm23, %%ymm30, %%ymm14\n" \
    "vpunpckhdq %%ymm23, %%ymm30, %%ymm15\n" \
    "vmovq 760(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm4, %%xmm3\n" \
    "vpaddd %%ymm28, %%ymm29, %%ymm17\n" \
    "vmovdqa %%ymm14, 1920(%[wk_next])\n" \
    "vmovdqa %%ymm15, 1952(%[wk_next])\n" \
    "vprord $7, %%ymm13, %%ymm12\n" \
    "vmovq 2752(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm6, %%xmm5\n" \
    "vprord $18, %%ymm13, %%ymm19\n" \
    "vpsrld $3, %%ymm13, %%ymm26\n" \
    "vprord $17, %%ymm11, %%ymm16\n" \
    "vmovq 2760(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm8, %%xmm7\n" \
    "vpxord %%ymm19, %%ymm12, %%ymm27\n" \
    "vprord $19, %%ymm11, %%ymm21\n" \
    "vpsrld $10, %%ymm11, %%ymm20\n" \
    "vpxord %%ymm26, %%ymm27, %%ymm24\n" \
    "vmovq 2784(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm10, %%xmm9\n" \
    "vpxord %%ymm21, %%ymm16, %%ymm31\n" \
    "vprord $17, %%ymm18, %%ymm22\n" \
    "vpaddd %%ymm24, %%ymm25, %%ymm30\n" \
    "vmovq 816(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm1, %%xmm2\n" \
    "vpxord %%ymm20, %%ymm31, %%ymm23\n" \
    "vprord $19, %%ymm18, %%ymm29\n" \
    "vpsrld $10, %%ymm18, %%ymm28\n" \
    "vpaddd %%ymm23, %%ymm17, %%ymm14\n" \
    "vmovq 824(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm3, %%xmm4\n" \
    "vpxord %%ymm29, %%ymm22, %%ymm15\n" \
    "vpaddd 248(%[k])%{1to8%}, %%ymm14, %%ymm13\n" \
    "vpxord %%ymm28, %%ymm15, %%ymm12\n" \
    "vmovq 2816(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm5, %%xmm6\n" \
    "vpaddd %%ymm12, %%ymm30, %%ymm19\n" \
    "vpaddd 252(%[k])%{1to8%}, %%ymm19, %%ymm11\n" \
    "vpunpckldq %%ymm11, %%ymm13, %%ymm27\n" \
    "vpunpckhdq %%ymm11, %%ymm13, %%ymm26\n" \
    "vmovq 2824(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm7, %%xmm8\n" \
    "vmovdqa32 %%ymm27, 1984(%[wk_next])\n" \
    "vmovdqa32 %%ymm26, 2016(%[wk_next])\n" \
    "lea (%[in],%[stride],8), %[in]\n" \
    "vmovq 2848(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm9, %%xmm10\n" \
    "lea (%[in],%[stride],4), %[in4]\n" \
    "vmovdqu32 (%[in]), %%xmm16\n" \
    "vmovdqu32 16(%[in]), %%xmm21\n" \
    "vmovq 880(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm2, %%xmm1\n" \
    "vmovdqu32 32(%[in]), %%xmm25\n" \
    "vmovdqu32 48(%[in]), %%xmm24\n" \
    "vmovdqu32 (%[in],%[stride]), %%xmm31\n" \
    "vmovdqu32 16(%[in],%[stride]), %%xmm20\n" \
    "vmovq 888(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm4, %%xmm3\n" \
    "vmovdqu32 32(%[in],%[stride]), %%xmm18\n" \
    "vmovdqu32 48(%[in],%[stride]), %%xmm17\n" \
    "vmovdqu32 (%[in],%[stride],2), %%xmm23\n" \
    "vmovq 2880(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm6, %%xmm5\n" \
    "vmovdqu32 16(%[in],%[stride],2), %%xmm22\n" \
    "vmovdqu32 32(%[in],%[stride],2), %%xmm29\n" \
    "vmovdqu 48(%[in],%[stride],2), %%xmm14\n" \
    "vinserti32x4 $1, (%[in4]), %%ymm16, %%ymm15\n" \
    "vmovq 2888(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm8, %%xmm7\n" \
    "vinserti32x4 $1, 16(%[in4]), %%ymm21, %%ymm28\n" \
    "vinserti32x4 $1, 32(%[in4]), %%ymm25, %%ymm30\n" \
    "vinserti32x4 $1, 48(%[in4]), %%ymm24, %%ymm12\n" \
    "vmovq 2912(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm10, %%xmm9\n" \
    "vinserti32x4 $1, (%[in4],%[stride]), %%ymm31, %%ymm19\n" \
    "vinserti32x4 $1, 16(%[in4],%[stride]), %%ymm20, %%ymm13\n" \
    "vinserti32x4 $1, 32(%[in4],%[stride]), %%ymm18, %%ymm11\n" \
    "vinserti32x4 $1, 48(%[in4],%[stride]), %%ymm17, %%ymm27\n" \
    "vmovq 944(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm1, %%xmm2\n" \
    "vinserti32x4 $1, (%[in4],%[stride],2), %%ymm23, %%ymm26\n" \
    "vinserti32x4 $1, 16(%[in4],%[stride],2), %%ymm22, %%ymm16\n" \
    "vinserti32x4 $1, 32(%[in4],%[stride],2), %%ymm29, %%ymm21\n" \
    "vmovq 952(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm3, %%xmm4\n" \
    "vinserti32x4 $1, 48(%[in4],%[stride],2), %%ymm14, %%ymm25\n" \
    "vmovdqu32 (%[in],%[stride3]), %%xmm24\n" \
    "vmovdqu32 16(%[in],%[stride3]), %%xmm31\n" \
    "vmovdqu32 32(%[in],%[stride3]), %%xmm20\n" \
    "vmovq 2944(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm5, %%xmm6\n" \
    "vmovdqu32 48(%[in],%[stride3]), %%xmm18\n" \
    "vpshufb (%[table]), %%ymm15, %%ymm17\n" \
    "vpshufb (%[table]), %%ymm19, %%ymm23\n" \
    "vmovq 2952(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm7, %%xmm8\n" \
    "vpshufb (%[table]), %%ymm26, %%ymm22\n" \
    "vpaddd 32(%[table]), %%ymm17, %%ymm29\n" \
    "vpaddd 32(%[table]), %%ymm23, %%ymm14\n" \
    "vpaddd 32(%[table]), %%ymm22, %%ymm15\n" \
    "vmovq 2976(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm9, %%xmm10\n" \
    "vmovdqa32 %%ymm29, 2048(%[wk_next])\n" \
    "vmovdqa %%ymm14, 2080(%[wk_next])\n" \
    "vinserti32x4 $1, (%[in4],%[stride3]), %%ymm24, %%ymm19\n" \
    "vmovq 1008(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm2, %%xmm1\n" \
    "vinserti32x4 $1, 16(%[in4],%[stride3]), %%ymm31, %%ymm26\n" \
    "vinserti32x4 $1, 32(%[in4],%[stride3]), %%ymm20, %%ymm29\n" \
    "vinserti32x4 $1, 48(%[in4],%[stride3]), %%ymm18, %%ymm14\n" \
    "vmovdqa %%ymm15, 2112(%[wk_next])\n" \
    "vmovq 1016(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm4, %%xmm3\n" \
    "vpshufb (%[table]), %%ymm19, %%ymm24\n" \
    "vpunpckldq %%ymm23, %%ymm17, %%ymm31\n" \
    "vpunpckhdq %%ymm23, %%ymm17, %%ymm20\n" \
    "vmovq 3008(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm6, %%xmm5\n" \
    "vpaddd 32(%[table]), %%ymm24, %%ymm18\n" \
    "vpunpckldq %%ymm24, %%ymm22, %%ymm15\n" \
    "vpunpckhdq %%ymm24, %%ymm22, %%ymm19\n" \
    "vmovdqa32 %%ymm18, 2144(%[wk_next])\n" \
    "vmovq 3016(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm8, %%xmm7\n" \
    "vpunpcklqdq %%ymm15, %%ymm31, %%ymm17\n" \
    "vpunpckhqdq %%ymm15, %%ymm31, %%ymm23\n" \
    "vpunpcklqdq %%ymm19, %%ymm20, %%ymm22\n" \
    "vmovq 3040(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm10, %%xmm9\n" \
    "vpunpckhqdq %%ymm19, %%ymm20, %%ymm24\n" \
    "vpshufb (%[table]), %%ymm28, %%ymm18\n" \
    "vpshufb (%[table]), %%ymm13, %%ymm31\n" \
    "vpshufb (%[table]), %%ymm16, %%ymm15\n" \
    "vmovq 1072(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm1, %%xmm2\n" \
    "vpaddd 64(%[table]), %%ymm18, %%ymm20\n" \
    "vpaddd 64(%[table]), %%ymm31, %%ymm19\n" \
    "vpaddd 64(%[table]), %%ymm15, %%ymm28\n" \
    "vmovq 1080(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm3, %%xmm4\n" \
    "vmovdqa32 %%ymm20, 2176(%[wk_next])\n" \
    "vmovdqa32 %%ymm19, 2208(%[wk_next])\n" \
    "vmovdqa32 %%ymm28, 2240(%[wk_next])\n" \
    "vpshufb (%[table]), %%ymm26, %%ymm13\n" \
    "vmovq 3072(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm5, %%xmm6\n" \
    "vpunpckldq %%ymm31, %%ymm18, %%ymm16\n" \
    "vpunpckhdq %%ymm31, %%ymm18, %%ymm20\n" \
    "vpaddd 64(%[table]), %%ymm13, %%ymm19\n" \
    "vmovq 3080(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm7, %%xmm8\n" \
    "vpunpckldq %%ymm13, %%ymm15, %%ymm28\n" \
    "vpunpckhdq %%ymm13, %%ymm15, %%ymm26\n" \
    "vmovdqa32 %%ymm19, 2272(%[wk_next])\n" \
    "vpunpcklqdq %%ymm28, %%ymm16, %%ymm18\n" \
    "vmovq 3104(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm9, %%xmm10\n" \
    "vpunpckhqdq %%ymm28, %%ymm16, %%ymm31\n" \
    "vpunpcklqdq %%ymm26, %%ymm20, %%ymm15\n" \
    "vpunpckhqdq %%ymm26, %%ymm20, %%ymm13\n" \
    "vmovq 1136(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm2, %%xmm1\n" \
    "vpshufb (%[table]), %%ymm30, %%ymm19\n" \
    "vpshufb (%[table]), %%ymm11, %%ymm16\n" \
    "vpshufb (%[table]), %%ymm21, %%ymm28\n" \
    "vpaddd 96(%[table]), %%ymm19, %%ymm20\n" \
    "vmovq 1144(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm4, %%xmm3\n" \
    "vpaddd 96(%[table]), %%ymm16, %%ymm26\n" \
    "vpaddd 96(%[table]), %%ymm28, %%ymm30\n" \
    "vmovdqa32 %%ymm20, 2304(%[wk_next])\n" \
    "vmovq 3136(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm6, %%xmm5\n" \
    "vmovdqa32 %%ymm26, 2336(%[wk_next])\n" \
    "vmovdqa32 %%ymm30, 2368(%[wk_next])\n" \
    "vpshufb (%[table]), %%ymm29, %%ymm11\n" \
    "vpunpckldq %%ymm16, %%ymm19, %%ymm21\n" \
    "vmovq 3144(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm8, %%xmm7\n" \
    "vpunpckhdq %%ymm16, %%ymm19, %%ymm20\n" \
    "vpaddd 96(%[table]), %%ymm11, %%ymm26\n" \
    "vpunpckldq %%ymm11, %%ymm28, %%ymm30\n" \
    "vmovq 3168(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm10, %%xmm9\n" \
    "vpunpckhdq %%ymm11, %%ymm28, %%ymm29\n" \
    "vmovdqa32 %%ymm26, 2400(%[wk_next])\n" \
    "vpunpcklqdq %%ymm30, %%ymm21, %%ymm19\n" \
    "vpunpckhqdq %%ymm30, %%ymm21, %%ymm16\n" \
    "vmovq 1200(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm1, %%xmm2\n" \
    "vpunpcklqdq %%ymm29, %%ymm20, %%ymm28\n" \
    "vpunpckhqdq %%ymm29, %%ymm20, %%ymm11\n" \
    "vpshufb (%[table]), %%ymm12, %%ymm26\n" \
    "vmovq 1208(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm3, %%xmm4\n" \
    "vpshufb (%[table]), %%ymm27, %%ymm21\n" \
    "vpshufb (%[table]), %%ymm25, %%ymm30\n" \
    "vpaddd 128(%[table]), %%ymm26, %%ymm20\n" \
    "vpaddd 128(%[table]), %%ymm21, %%ymm29\n" \
    "vmovq 3200(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm5, %%xmm6\n" \
    "vpaddd 128(%[table]), %%ymm30, %%ymm12\n" \
    "vmovdqa32 %%ymm20, 2432(%[wk_next])\n" \
    "vmovdqa32 %%ymm29, 2464(%[wk_next])\n" \
    "vmovq 3208(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm7, %%xmm8\n" \
    "vmovdqa %%ymm12, 2496(%[wk_next])\n" \
    "vpshufb (%[table]), %%ymm14, %%ymm27\n" \
    "vpunpckldq %%ymm21, %%ymm26, %%ymm25\n" \
    "vmovq 3232(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm9, %%xmm10\n" \
    "vpunpckhdq %%ymm21, %%ymm26, %%ymm20\n" \
    "vpaddd 128(%[table]), %%ymm27, %%ymm29\n" \
    "vpunpckldq %%ymm27, %%ymm30, %%ymm12\n" \
    "vpunpckhdq %%ymm27, %%ymm30, %%ymm14\n" \
    "vmovq 1264(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm2, %%xmm1\n" \
    "vmovdqa32 %%ymm29, 2528(%[wk_next])\n" \
    "vpunpcklqdq %%ymm12, %%ymm25, %%ymm26\n" \
    "vpunpckhqdq %%ymm12, %%ymm25, %%ymm21\n" \
    "vmovq 1272(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm4, %%xmm3\n" \
    "vpunpcklqdq %%ymm14, %%ymm20, %%ymm30\n" \
    "vpunpckhqdq %%ymm14, %%ymm20, %%ymm27\n" \
    "vpaddd %%ymm16, %%ymm17, %%ymm29\n" \
    "vprord $7, %%ymm23, %%ymm25\n" \
    "vmovq 3264(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm6, %%xmm5\n" \
    "vprord $18, %%ymm23, %%ymm12\n" \
    "vpsrld $3, %%ymm23, %%ymm20\n" \
    "vpaddd %%ymm28, %%ymm23, %%ymm14\n" \
    "vmovq 3272(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm8, %%xmm7\n" \
    "vpxord %%ymm12, %%ymm25, %%ymm17\n" \
    "vprord $7, %%ymm22, %%ymm23\n" \
    "vpxord %%ymm20, %%ymm17, %%ymm25\n" \
    "vprord $18, %%ymm22, %%ymm12\n" \
    "vmovq 3296(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm10, %%xmm9\n" \
    "vpaddd %%ymm25, %%ymm29, %%ymm17\n" \
    "vpsrld $3, %%ymm22, %%ymm20\n" \
    "vpxord %%ymm12, %%ymm23, %%ymm29\n" \
    "vmovq 1328(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm1, %%xmm2\n" \
    "vprord $17, %%ymm30, %%ymm25\n" \
    "vpaddd %%ymm11, %%ymm22, %%ymm23\n" \
    "vpxord %%ymm20, %%ymm29, %%ymm12\n" \
    "vprord $19, %%ymm30, %%ymm22\n" \
    "vmovq 1336(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm3, %%xmm4\n" \
    "vpaddd %%ymm12, %%ymm14, %%ymm29\n" \
    "vpsrld $10, %%ymm30, %%ymm20\n" \
    "vpxord %%ymm22, %%ymm25, %%ymm14\n" \
    "vmovq 3328(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm5, %%xmm6\n" \
    "vprord $17, %%ymm27, %%ymm12\n" \
    "vpxord %%ymm20, %%ymm14, %%ymm25\n" \
    "vprord $19, %%ymm27, %%ymm22\n" \
    "vpaddd %%ymm25, %%ymm17, %%ymm14\n" \
    "vmovq 3336(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm7, %%xmm8\n" \
    "vpsrld $10, %%ymm27, %%ymm20\n" \
    "vpxord %%ymm22, %%ymm12, %%ymm17\n" \
    "vpaddd 64(%[k])%{1to8%}, %%ymm14, %%ymm25\n" \
    "vmovq 3360(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm9, %%xmm10\n" \
    "vpxord %%ymm20, %%ymm17, %%ymm12\n" \
    "vprord $7, %%ymm24, %%ymm22\n" \
    "vpaddd %%ymm12, %%ymm29, %%ymm17\n" \
    "vprord $18, %%ymm24, %%ymm20\n" \
    "vmovq 1392(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm2, %%xmm1\n" \
    "vpaddd 68(%[k])%{1to8%}, %%ymm17, %%ymm29\n" \
    "vpxord %%ymm20, %%ymm22, %%ymm12\n" \
    "vpunpckldq %%ymm29, %%ymm25, %%ymm22\n" \
    "vmovq 1400(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm4, %%xmm3\n" \
    "vpunpckhdq %%ymm29, %%ymm25, %%ymm20\n" \
    "vmovdqa32 %%ymm22, 2560(%[wk_next])\n" \
    "vpsrld $3, %%ymm24, %%ymm25\n" \
    "vmovdqa32 %%ymm20, 2592(%[wk_next])\n" \
    "vmovq 3392(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm6, %%xmm5\n" \
    "vpaddd %%ymm26, %%ymm24, %%ymm29\n" \
    "vpxord %%ymm25, %%ymm12, %%ymm22\n" \
    "vprord $7, %%ymm18, %%ymm20\n" \
    "vmovq 3400(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm8, %%xmm7\n" \
    "vprord $18, %%ymm18, %%ymm24\n" \
    "vpaddd %%ymm22, %%ymm23, %%ymm12\n" \
    "vpsrld $3, %%ymm18, %%ymm25\n" \
    "vpxord %%ymm24, %%ymm20, %%ymm23\n" \
    "vmovq 3424(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm10, %%xmm9\n" \
    "vprord $17, %%ymm14, %%ymm22\n" \
    "vpaddd %%ymm21, %%ymm18, %%ymm20\n" \
    "vpxord %%ymm25, %%ymm23, %%ymm24\n" \
    "vmovq 1456(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm1, %%xmm2\n" \
    "vprord $19, %%ymm14, %%ymm18\n" \
    "vpaddd %%ymm24, %%ymm29, %%ymm23\n" \
    "vpsrld $10, %%ymm14, %%ymm25\n" \
    "vpxord %%ymm18, %%ymm22, %%ymm29\n" \
    "vmovq 1464(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm3, %%xmm4\n" \
    "vprord $17, %%ymm17, %%ymm24\n" \
    "vpxord %%ymm25, %%ymm29, %%ymm22\n" \
    "vprord $19, %%ymm17, %%ymm18\n" \
    "vmovq 3456(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm5, %%xmm6\n" \
    "vpaddd %%ymm22, %%ymm12, %%ymm29\n" \
    "vpsrld $10, %%ymm17, %%ymm25\n" \
    "vpxord %%ymm18, %%ymm24, %%ymm12\n" \
    "vpaddd 72(%[k])%{1to8%}, %%ymm29, %%ymm22\n" \
    "vmovq 3464(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm7, %%xmm8\n" \
    "vpxord %%ymm25, %%ymm12, %%ymm24\n" \
    "vprord $7, %%ymm31, %%ymm18\n" \
    "vpaddd %%ymm24, %%ymm23, %%ymm12\n" \
    "vmovq 3488(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm9, %%xmm10\n" \
    "vprord $18, %%ymm31, %%ymm25\n" \
    "vpaddd 76(%[k])%{1to8%}, %%ymm12, %%ymm23\n" \
    "vpxord %%ymm25, %%ymm18, %%ymm24\n" \
    "vpunpckldq %%ymm23, %%ymm22, %%ymm18\n" \
    "vmovq 1520(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm2, %%xmm1\n" \
    "vpunpckhdq %%ymm23, %%ymm22, %%ymm25\n" \
    "vmovdqa32 %%ymm18, 2624(%[wk_next])\n" \
    "vpsrld $3, %%ymm31, %%ymm22\n" \
    "vmovq 1528(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm4, %%xmm3\n" \
    "vmovdqa32 %%ymm25, 2656(%[wk_next])\n" \
    "vpaddd %%ymm30, %%ymm31, %%ymm23\n" \
    "vpxord %%ymm22, %%ymm24, %%ymm18\n" \
    "vprord $7, %%ymm15, %%ymm25\n" \
    "vmovq 3520(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm6, %%xmm5\n" \
    "vprord $18, %%ymm15, %%ymm31\n" \
    "vpaddd %%ymm18, %%ymm20, %%ymm24\n" \
    "vpsrld $3, %%ymm15, %%ymm22\n" \
    "vmovq 3528(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm8, %%xmm7\n" \
    "vpxord %%ymm31, %%ymm25, %%ymm20\n" \
    "vprord $17, %%ymm29, %%ymm18\n" \
    "vpxord %%ymm22, %%ymm20, %%ymm25\n" \
    "vprord $19, %%ymm29, %%ymm31\n" \
    "vmovq 3552(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm10, %%xmm9\n" \
    "vpaddd %%ymm25, %%ymm23, %%ymm20\n" \
    "vpsrld $10, %%ymm29, %%ymm22\n" \
    "vpxord %%ymm31, %%ymm18, %%ymm23\n" \
    "vmovq 1584(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm1, %%xmm2\n" \
    "vprord $17, %%ymm12, %%ymm25\n" \
    "vpxord %%ymm22, %%ymm23, %%ymm18\n" \
    "vprord $19, %%ymm12, %%ymm31\n" \
    "vmovq 1592(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm3, %%xmm4\n" \
    "vpaddd %%ymm18, %%ymm24, %%ymm23\n" \
    "vpsrld $10, %%ymm12, %%ymm22\n" \
    "vpxord %%ymm31, %%ymm25, %%ymm24\n" \
    "vpaddd 80(%[k])%{1to8%}, %%ymm23, %%ymm18\n" \
    "vmovq 3584(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm5, %%xmm6\n" \
    "vpxord %%ymm22, %%ymm24, %%ymm25\n" \
    "vpaddd %%ymm25, %%ymm20, %%ymm31\n" \
    "vpaddd 84(%[k])%{1to8%}, %%ymm31, %%ymm24\n" \
    "vmovq 3592(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm7, %%xmm8\n" \
    "vpunpckldq %%ymm24, %%ymm18, %%ymm22\n" \
    "vpunpckhdq %%ymm24, %%ymm18, %%ymm20\n" \
    "vmovdqa32 %%ymm22, 2688(%[wk_next])\n" \
    "vmovdqa32 %%ymm20, 2720(%[wk_next])\n" \
    "vmovq 3616(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm9, %%xmm10\n" \
    "lea 64(%[first]), %[ahead]\n" \
    "prefetcht0 (%[ahead])\n" \
    "vpaddd %%ymm27, %%ymm15, %%ymm25\n" \
    "vmovq 1648(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm2, %%xmm1\n" \
    "vprord $7, %%ymm13, %%ymm18\n" \
    "vprord $18, %%ymm13, %%ymm24\n" \
    "vpsrld $3, %%ymm13, %%ymm22\n" \
    "vpaddd %%ymm14, %%ymm13, %%ymm20\n" \
    "vmovq 1656(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm4, %%xmm3\n" \
    "vpxord %%ymm24, %%ymm18, %%ymm15\n" \
    "vprord $7, %%ymm19, %%ymm13\n" \
    "vpxord %%ymm22, %%ymm15, %%ymm18\n" \
    "vmovq 3648(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm6, %%xmm5\n" \
    "vprord $18, %%ymm19, %%ymm24\n" \
    "vpaddd %%ymm18, %%ymm25, %%ymm15\n" \
    "vpsrld $3, %%ymm19, %%ymm22\n" \
    "vpxord %%ymm24, %%ymm13, %%ymm25\n" \
    "vmovq 3656(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm8, %%xmm7\n" \
    "vprord $17, %%ymm23, %%ymm18\n" \
    "vpxord %%ymm22, %%ymm25, %%ymm13\n" \
    "vprord $19, %%ymm23, %%ymm24\n" \
    "vmovq 3680(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm10, %%xmm9\n" \
    "vpaddd %%ymm13, %%ymm20, %%ymm25\n" \
    "vpsrld $10, %%ymm23, %%ymm22\n" \
    "vpxord %%ymm24, %%ymm18, %%ymm20\n" \
    "vprord $17, %%ymm31, %%ymm13\n" \
    "vmovq 1712(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm1, %%xmm2\n" \
    "vpxord %%ymm22, %%ymm20, %%ymm18\n" \
    "vprord $19, %%ymm31, %%ymm24\n" \
    "vpaddd %%ymm18, %%ymm15, %%ymm20\n" \
    "vmovq 1720(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm3, %%xmm4\n" \
    "vpsrld $10, %%ymm31, %%ymm22\n" \
    "vpxord %%ymm24, %%ymm13, %%ymm15\n" \
    "vpaddd 88(%[k])%{1to8%}, %%ymm20, %%ymm18\n" \
    "vpxord %%ymm22, %%ymm15, %%ymm13\n" \
    "vmovq 3712(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm5, %%xmm6\n" \
    "vpaddd %%ymm13, %%ymm25, %%ymm24\n" \
    "vpaddd 92(%[k])%{1to8%}, %%ymm24, %%ymm15\n" \
    "vpunpckldq %%ymm15, %%ymm18, %%ymm22\n" \
    "vmovq 3720(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm7, %%xmm8\n" \
    "vpunpckhdq %%ymm15, %%ymm18, %%ymm25\n" \
    "vmovdqa32 %%ymm22, 2752(%[wk_next])\n" \
    "vmovdqa32 %%ymm25, 2784(%[wk_next])\n" \
    "prefetcht0 (%[ahead],%[stride])\n" \
    "vmovq 3744(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm9, %%xmm10\n" \
    "vpaddd %%ymm17, %%ymm19, %%ymm13\n" \
    "vprord $7, %%ymm16, %%ymm18\n" \
    "vprord $18, %%ymm16, %%ymm15\n" \
    "vmovq 1776(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm2, %%xmm1\n" \
    "vpsrld $3, %%ymm16, %%ymm22\n" \
    "vpaddd %%ymm29, %%ymm16, %%ymm25\n" \
    "vpxord %%ymm15, %%ymm18, %%ymm19\n" \
    "vprord $7, %%ymm28, %%ymm16\n" \
    "vmovq 1784(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm4, %%xmm3\n" \
    "vpxord %%ymm22, %%ymm19, %%ymm18\n" \
    "vprord $18, %%ymm28, %%ymm15\n" \
    "vpaddd %%ymm18, %%ymm13, %%ymm19\n" \
    "vmovq 3776(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm6, %%xmm5\n" \
    "vpsrld $3, %%ymm28, %%ymm22\n" \
    "vpxord %%ymm15, %%ymm16, %%ymm13\n" \
    "vprord $17, %%ymm20, %%ymm18\n" \
    "vpxord %%ymm22, %%ymm13, %%ymm16\n" \
    "vmovq 3784(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm8, %%xmm7\n" \
    "vprord $19, %%ymm20, %%ymm15\n" \
    "vpaddd %%ymm16, %%ymm25, %%ymm13\n" \
    "vpsrld $10, %%ymm20, %%ymm22\n" \
    "vmovq 3808(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm10, %%xmm9\n" \
    "vpxord %%ymm15, %%ymm18, %%ymm25\n" \
    "vprord $17, %%ymm24, %%ymm16\n" \
    "vpxord %%ymm22, %%ymm25, %%ymm18\n" \
    "vprord $19, %%ymm24, %%ymm15\n" \
    "vmovq 1840(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm1, %%xmm2\n" \
    "vpaddd %%ymm18, %%ymm19, %%ymm25\n" \
    "vpsrld $10, %%ymm24, %%ymm22\n" \
    "vpxord %%ymm15, %%ymm16, %%ymm19\n" \
    "vmovq 1848(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm3, %%xmm4\n" \
    "vpaddd 96(%[k])%{1to8%}, %%ymm25, %%ymm18\n" \
    "vpxord %%ymm22, %%ymm19, %%ymm16\n" \
    "vpaddd %%ymm16, %%ymm13, %%ymm15\n" \
    "vpaddd 100(%[k])%{1to8%}, %%ymm15, %%ymm19\n" \
    "vmovq 3840(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm5, %%xmm6\n" \
    "vpunpckldq %%ymm19, %%ymm18, %%ymm22\n" \
    "vpunpckhdq %%ymm19, %%ymm18, %%ymm13\n" \
    "vmovdqa32 %%ymm22, 2816(%[wk_next])\n" \
    "vmovq 3848(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm7, %%xmm8\n" \
    "vmovdqa %%ymm13, 2848(%[wk_next])\n" \
    "prefetcht0 (%[ahead],%[stride],2)\n" \
    "vpaddd %%ymm12, %%ymm28, %%ymm16\n" \
    "vprord $7, %%ymm11, %%ymm18\n" \
    "vmovq 3872(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm9, %%xmm10\n" \
    "vprord $18, %%ymm11, %%ymm19\n" \
    "vpsrld $3, %%ymm11, %%ymm22\n" \
    "vpaddd %%ymm23, %%ymm11, %%ymm13\n" \
    "vmovq 1904(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm2, %%xmm1\n" \
    "vpxord %%ymm19, %%ymm18, %%ymm28\n" \
    "vprord $7, %%ymm26, %%ymm11\n" \
    "vpxord %%ymm22, %%ymm28, %%ymm18\n" \
    "vprord $18, %%ymm26, %%ymm19\n" \
    "vmovq 1912(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm4, %%xmm3\n" \
    "vpaddd %%ymm18, %%ymm16, %%ymm28\n" \
    "vpsrld $3, %%ymm26, %%ymm22\n" \
    "vpxord %%ymm19, %%ymm11, %%ymm16\n" \
    "vmovq 3904(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm6, %%xmm5\n" \
    "vprord $17, %%ymm25, %%ymm18\n" \
    "vpxord %%ymm22, %%ymm16, %%ymm11\n" \
    "vprord $19, %%ymm25, %%ymm19\n" \
    "vpaddd %%ymm11, %%ymm13, %%ymm16\n" \
    "vmovq 3912(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm8, %%xmm7\n" \
    "vpsrld $10, %%ymm25, %%ymm22\n" \
    "vpxord %%ymm19, %%ymm18, %%ymm13\n" \
    "vprord $17, %%ymm15, %%ymm11\n" \
    "vmovq 3936(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm10, %%xmm9\n" \
    "vpxord %%ymm22, %%ymm13, %%ymm18\n" \
    "vprord $19, %%ymm15, %%ymm19\n" \
    "vpaddd %%ymm18, %%ymm28, %%ymm13\n" \
    "vmovq 1968(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm1, %%xmm2\n" \
    "vpsrld $10, %%ymm15, %%ymm22\n" \
    "vpxord %%ymm19, %%ymm11, %%ymm28\n" \
    "vpaddd 104(%[k])%{1to8%}, %%ymm13, %%ymm18\n" \
    "vpxord %%ymm22, %%ymm28, %%ymm11\n" \
    "vmovq 1976(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm3, %%xmm4\n" \
    "vpaddd %%ymm11, %%ymm16, %%ymm19\n" \
    "vpaddd 108(%[k])%{1to8%}, %%ymm19, %%ymm28\n" \
    "vpunpckldq %%ymm28, %%ymm18, %%ymm22\n" \
    "vmovq 3968(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm5, %%xmm6\n" \
    "vpunpckhdq %%ymm28, %%ymm18, %%ymm16\n" \
    "vmovdqa32 %%ymm22, 2880(%[wk_next])\n" \
    "vmovdqa32 %%ymm16, 2912(%[wk_next])\n" \
    "prefetcht0 (%[ahead],%[stride3])\n" \
    "vmovq 3976(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm7, %%xmm8\n" \
    "vpaddd %%ymm31, %%ymm26, %%ymm11\n" \
    "vprord $7, %%ymm21, %%ymm18\n" \
    "vprord $18, %%ymm21, %%ymm28\n" \
    "vmovq 4000(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm9, %%xmm10\n" \
    "vpsrld $3, %%ymm21, %%ymm22\n" \
    "vpaddd %%ymm20, %%ymm21, %%ymm16\n" \
    "vpxord %%ymm28, %%ymm18, %%ymm26\n" \
    "vprord $7, %%ymm30, %%ymm21\n" \
    "vmovq 2032(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm2, %%xmm1\n" \
    "vpxord %%ymm22, %%ymm26, %%ymm18\n" \
    "vprord $18, %%ymm30, %%ymm28\n" \
    "vpaddd %%ymm18, %%ymm11, %%ymm26\n" \
    "vmovq 2040(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm4, %%xmm3\n" \
    "vpsrld $3, %%ymm30, %%ymm22\n" \
    "vpxord %%ymm28, %%ymm21, %%ymm11\n" \
    "vprord $17, %%ymm13, %%ymm18\n" \
    "vpxord %%ymm22, %%ymm11, %%ymm21\n" \
    "vmovq 4032(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm6, %%xmm5\n" \
    "vprord $19, %%ymm13, %%ymm28\n" \
    "vpaddd %%ymm21, %%ymm16, %%ymm11\n" \
    "vpsrld $10, %%ymm13, %%ymm22\n" \
    "vmovq 4040(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm8, %%xmm7\n" \
    "vpxord %%ymm28, %%ymm18, %%ymm16\n" \
    "vprord $17, %%ymm19, %%ymm21\n" \
    "vpxord %%ymm22, %%ymm16, %%ymm18\n" \
    "vprord $19, %%ymm19, %%ymm28\n" \
    "vmovq 4064(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm10, %%xmm9\n" \
    "vpaddd %%ymm18, %%ymm26, %%ymm16\n" \
    "vpsrld $10, %%ymm19, %%ymm22\n" \
    "vpxord %%ymm28, %%ymm21, %%ymm26\n" \
    "vpaddd 192(%[state]), %%xmm1, %%xmm1\n" \
    "vmovdqa %%xmm1, 192(%[state])\n" \
    "vpaddd 208(%[state]), %%xmm2, %%xmm2\n" \
    "vmovdqa %%xmm2, 208(%[state])\n" \
    "vpaddd 224(%[state]), %%xmm3, %%xmm3\n" \
    "vmovdqa %%xmm3, 224(%[state])\n" \
    "vpaddd 240(%[state]), %%xmm4, %%xmm4\n" \
    "vmovdqa %%xmm4, 240(%[state])\n" \
    "vpaddd 256(%[state]), %%xmm5, %%xmm5\n" \
    "vmovdqa %%xmm5, 256(%[state])\n" \
    "vpaddd 272(%[state]), %%xmm6, %%xmm6\n" \
    "vmovdqa %%xmm6, 272(%[state])\n" \
    "vpaddd 288(%[state]), %%xmm7, %%xmm7\n" \
    "vmovdqa %%xmm7, 288(%[state])\n" \
    "vpaddd 304(%[state]), %%xmm8, %%xmm8\n" \
    "vmovdqa %%xmm8, 304(%[state])\n" \
    "vpaddd 320(%[state]), %%xmm9, %%xmm9\n" \
    "vmovdqa %%xmm9, 320(%[state])\n" \
    "vpaddd 336(%[state]), %%xmm10, %%xmm10\n" \
    "vmovdqa %%xmm10, 336(%[state])\n" \
    "vmovdqa 352(%[state]), %%xmm1\n" \
    "vmovdqa 368(%[state]), %%xmm2\n" \
    "vmovdqa 384(%[state]), %%xmm3\n" \
    "vmovdqa 400(%[state]), %%xmm4\n" \
    "vmovdqa 416(%[state]), %%xmm5\n" \
    "vmovdqa 432(%[state]), %%xmm6\n" \
    "vmovdqa 448(%[state]), %%xmm7\n" \
    "vmovdqa 464(%[state]), %%xmm8\n" \
    "vmovdqa 480(%[state]), %%xmm9\n" \
    "vmovdqa 496(%[state]), %%xmm10\n" \
    "vmovq 2144(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm1, %%xmm2\n" \
    "vpaddd 112(%[k])%{1to8%}, %%ymm16, %%ymm18\n" \
    "vpxord %%ymm22, %%ymm26, %%ymm21\n" \
    "vpaddd %%ymm21, %%ymm11, %%ymm28\n" \
    "vpaddd 116(%[k])%{1to8%}, %%ymm28, %%ymm26\n" \
    "vmovq 2064(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm3, %%xmm4\n" \
    "vpunpckldq %%ymm26, %%ymm18, %%ymm22\n" \
    "vpunpckhdq %%ymm26, %%ymm18, %%ymm11\n" \
    "vmovdqa32 %%ymm22, 2944(%[wk_next])\n" \
    "vmovq 2096(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm5, %%xmm6\n" \
    "vmovdqa %%ymm11, 2976(%[wk_next])\n" \
    "lea (%[ahead],%[stride],4), %[ahead]\n" \
    "prefetcht0 (%[ahead])\n" \
    "vpaddd %%ymm24, %%ymm30, %%ymm21\n" \
    "vmovq 2128(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm7, %%xmm8\n" \
    "vprord $7, %%ymm27, %%ymm18\n" \
    "vprord $18, %%ymm27, %%ymm26\n" \
    "vpsrld $3, %%ymm27, %%ymm22\n" \
    "vmovq 2160(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm9, %%xmm10\n" \
    "vpaddd %%ymm25, %%ymm27, %%ymm11\n" \
    "vpxord %%ymm26, %%ymm18, %%ymm30\n" \
    "vprord $7, %%ymm14, %%ymm27\n" \
    "vpxord %%ymm22, %%ymm30, %%ymm18\n" \
    "vmovq 2152(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm2, %%xmm1\n" \
    "vprord $18, %%ymm14, %%ymm26\n" \
    "vpaddd %%ymm18, %%ymm21, %%ymm30\n" \
    "vpsrld $3, %%ymm14, %%ymm22\n" \
    "vmovq 2072(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm4, %%xmm3\n" \
    "vpxord %%ymm26, %%ymm27, %%ymm21\n" \
    "vprord $17, %%ymm16, %%ymm18\n" \
    "vpxord %%ymm22, %%ymm21, %%ymm27\n" \
    "vprord $19, %%ymm16, %%ymm26\n" \
    "vmovq 2104(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm6, %%xmm5\n" \
    "vpaddd %%ymm27, %%ymm11, %%ymm21\n" \
    "vpsrld $10, %%ymm16, %%ymm22\n" \
    "vpxord %%ymm26, %%ymm18, %%ymm11\n" \
    "vmovq 2136(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm8, %%xmm7\n" \
    "vprord $17, %%ymm28, %%ymm27\n" \
    "vpxord %%ymm22, %%ymm11, %%ymm18\n" \
    "vprord $19, %%ymm28, %%ymm26\n" \
    "vpaddd %%ymm18, %%ymm30, %%ymm11\n" \
    "vmovq 2168(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm10, %%xmm9\n" \
    "vpsrld $10, %%ymm28, %%ymm22\n" \
    "vpxord %%ymm26, %%ymm27, %%ymm30\n" \
    "vpaddd 120(%[k])%{1to8%}, %%ymm11, %%ymm18\n" \
    "vmovq 2272(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm1, %%xmm2\n" \
    "vpxord %%ymm22, %%ymm30, %%ymm27\n" \
    "vpaddd %%ymm27, %%ymm21, %%ymm26\n" \
    "vpaddd 124(%[k])%{1to8%}, %%ymm26, %%ymm30\n" \
    "vpunpckldq %%ymm30, %%ymm18, %%ymm22\n" \
    "vmovq 2192(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm3, %%xmm4\n" \
    "vpunpckhdq %%ymm30, %%ymm18, %%ymm21\n" \
    "vmovdqa32 %%ymm22, 3008(%[wk_next])\n" \
    "vmovdqa32 %%ymm21, 3040(%[wk_next])\n" \
    "vmovq 2224(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm5, %%xmm6\n" \
    "prefetcht0 (%[ahead],%[stride])\n" \
    "vpaddd %%ymm15, %%ymm14, %%ymm27\n" \
    "vprord $7, %%ymm17, %%ymm18\n" \
    "vprord $18, %%ymm17, %%ymm30\n" \
    "vmovq 2256(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm7, %%xmm8\n" \
    "vpsrld $3, %%ymm17, %%ymm22\n" \
    "vpaddd %%ymm13, %%ymm17, %%ymm21\n" \
    "vpxord %%ymm30, %%ymm18, %%ymm14\n" \
    "vmovq 2288(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm9, %%xmm10\n" \
    "vprord $7, %%ymm29, %%ymm17\n" \
    "vpxord %%ymm22, %%ymm14, %%ymm18\n" \
    "vprord $18, %%ymm29, %%ymm30\n" \
    "vpaddd %%ymm18, %%ymm27, %%ymm14\n" \
    "vmovq 2280(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm2, %%xmm1\n" \
    "vpsrld $3, %%ymm29, %%ymm22\n" \
    "vpxord %%ymm30, %%ymm17, %%ymm27\n" \
    "vprord $17, %%ymm11, %%ymm18\n" \
    "vmovq 2200(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm4, %%xmm3\n" \
    "vpxord %%ymm22, %%ymm27, %%ymm17\n" \
    "vprord $19, %%ymm11, %%ymm30\n" \
    "vpaddd %%ymm17, %%ymm21, %%ymm27\n" \
    "vpsrld $10, %%ymm11, %%ymm22\n" \
    "vmovq 2232(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm6, %%xmm5\n" \
    "vpxord %%ymm30, %%ymm18, %%ymm21\n" \
    "vprord $17, %%ymm26, %%ymm17\n" \
    "vpxord %%ymm22, %%ymm21, %%ymm18\n" \
    "vmovq 2264(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm8, %%xmm7\n" \
    "vprord $19, %%ymm26, %%ymm30\n" \
    "vpaddd %%ymm18, %%ymm14, %%ymm21\n" \
    "vpsrld $10, %%ymm26, %%ymm22\n" \
    "vmovq 2296(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm10, %%xmm9\n" \
    "vpxord %%ymm30, %%ymm17, %%ymm14\n" \
    "vpaddd 128(%[k])%{1to8%}, %%ymm21, %%ymm18\n" \
    "vpxord %%ymm22, %%ymm14, %%ymm17\n" \
    "vpaddd %%ymm17, %%ymm27, %%ymm30\n" \
    "vmovq 2400(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm1, %%xmm2\n" \
    "vpaddd 132(%[k])%{1to8%}, %%ymm30, %%ymm14\n" \
    "vpunpckldq %%ymm14, %%ymm18, %%ymm22\n" \
    "vpunpckhdq %%ymm14, %%ymm18, %%ymm27\n" \
    "vmovq 2320(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm3, %%xmm4\n" \
    "vmovdqa32 %%ymm22, 3072(%[wk_next])\n" \
    "vmovdqa32 %%ymm27, 3104(%[wk_next])\n" \
    "prefetcht0 (%[ahead],%[stride],2)\n" \
    "vpaddd %%ymm19, %%ymm29, %%ymm17\n" \
    "vmovq 2352(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm5, %%xmm6\n" \
    "vprord $7, %%ymm12, %%ymm18\n" \
    "vprord $18, %%ymm12, %%ymm14\n" \
    "vpsrld $3, %%ymm12, %%ymm22\n" \
    "vmovq 2384(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm7, %%xmm8\n" \
    "vpaddd %%ymm16, %%ymm12, %%ymm27\n" \
    "vpxord %%ymm14, %%ymm18, %%ymm29\n" \
    "vprord $7, %%ymm23, %%ymm12\n" \
    "vpxord %%ymm22, %%ymm29, %%ymm18\n" \
    "vmovq 2416(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm9, %%xmm10\n" \
    "vprord $18, %%ymm23, %%ymm14\n" \
    "vpaddd %%ymm18, %%ymm17, %%ymm29\n" \
    "vpsrld $3, %%ymm23, %%ymm22\n" \
    "vmovq 2408(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm2, %%xmm1\n" \
    "vpxord %%ymm14, %%ymm12, %%ymm17\n" \
    "vprord $17, %%ymm21, %%ymm18\n" \
    "vpxord %%ymm22, %%ymm17, %%ymm12\n" \
    "vprord $19, %%ymm21, %%ymm14\n" \
    "vmovq 2328(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm4, %%xmm3\n" \
    "vpaddd %%ymm12, %%ymm27, %%ymm17\n" \
    "vpsrld $10, %%ymm21, %%ymm22\n" \
    "vpxord %%ymm14, %%ymm18, %%ymm27\n" \
    "vmovq 2360(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm6, %%xmm5\n" \
    "vprord $17, %%ymm30, %%ymm12\n" \
    "vpxord %%ymm22, %%ymm27, %%ymm18\n" \
    "vprord $19, %%ymm30, %%ymm14\n" \
    "vpaddd %%ymm18, %%ymm29, %%ymm27\n" \
    "vmovq 2392(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm8, %%xmm7\n" \
    "vpsrld $10, %%ymm30, %%ymm22\n" \
    "vpxord %%ymm14, %%ymm12, %%ymm29\n" \
    "vpaddd 136(%[k])%{1to8%}, %%ymm27, %%ymm18\n" \
    "vmovq 2424(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm10, %%xmm9\n" \
    "vpxord %%ymm22, %%ymm29, %%ymm12\n" \
    "vpaddd %%ymm12, %%ymm17, %%ymm14\n" \
    "vpaddd 140(%[k])%{1to8%}, %%ymm14, %%ymm29\n" \
    "vpunpckldq %%ymm29, %%ymm18, %%ymm22\n" \
    "vmovq 2528(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm1, %%xmm2\n" \
    "vpunpckhdq %%ymm29, %%ymm18, %%ymm17\n" \
    "vmovdqa32 %%ymm22, 3136(%[wk_next])\n" \
    "vmovdqa32 %%ymm17, 3168(%[wk_next])\n" \
    "vmovq 2448(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm3, %%xmm4\n" \
    "prefetcht0 (%[ahead],%[stride3])\n" \
    "vpaddd %%ymm28, %%ymm23, %%ymm12\n" \
    "vprord $7, %%ymm31, %%ymm18\n" \
    "vprord $18, %%ymm31, %%ymm29\n" \
    "vmovq 2480(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm5, %%xmm6\n" \
    "vpsrld $3, %%ymm31, %%ymm22\n" \
    "vpaddd %%ymm11, %%ymm31, %%ymm17\n" \
    "vpxord %%ymm29, %%ymm18, %%ymm23\n" \
    "vmovq 2512(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm7, %%xmm8\n" \
    "vprord $7, %%ymm20, %%ymm31\n" \
    "vpxord %%ymm22, %%ymm23, %%ymm18\n" \
    "vprord $18, %%ymm20, %%ymm29\n" \
    "vpaddd %%ymm18, %%ymm12, %%ymm23\n" \
    "vmovq 2544(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm9, %%xmm10\n" \
    "vpsrld $3, %%ymm20, %%ymm22\n" \
    "vpxord %%ymm29, %%ymm31, %%ymm12\n" \
    "vprord $17, %%ymm27, %%ymm18\n" \
    "vmovq 2536(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm2, %%xmm1\n" \
    "vpaddd %%ymm26, %%ymm20, %%ymm31\n" \
    "vpxord %%ymm22, %%ymm12, %%ymm29\n" \
    "vprord $19, %%ymm27, %%ymm20\n" \
    "vpaddd %%ymm29, %%ymm17, %%ymm12\n" \
    "vmovq 2456(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm4, %%xmm3\n" \
    "vpsrld $10, %%ymm27, %%ymm22\n" \
    "vpxord %%ymm20, %%ymm18, %%ymm17\n" \
    "vprord $17, %%ymm14, %%ymm29\n" \
    "vmovq 2488(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm6, %%xmm5\n" \
    "vpxord %%ymm22, %%ymm17, %%ymm18\n" \
    "vprord $19, %%ymm14, %%ymm20\n" \
    "vpaddd %%ymm18, %%ymm23, %%ymm17\n" \
    "vpsrld $10, %%ymm14, %%ymm22\n" \
    "vmovq 2520(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm8, %%xmm7\n" \
    "vpxord %%ymm20, %%ymm29, %%ymm23\n" \
    "vpaddd 144(%[k])%{1to8%}, %%ymm17, %%ymm18\n" \
    "vpxord %%ymm22, %%ymm23, %%ymm29\n" \
    "vmovq 2552(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm10, %%xmm9\n" \
    "vprord $7, %%ymm24, %%ymm20\n" \
    "vpaddd %%ymm29, %%ymm12, %%ymm23\n" \
    "vprord $18, %%ymm24, %%ymm22\n" \
    "vpaddd 148(%[k])%{1to8%}, %%ymm23, %%ymm12\n" \
    "vmovq 2600(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm1, %%xmm2\n" \
    "vpxord %%ymm22, %%ymm20, %%ymm29\n" \
    "vpunpckldq %%ymm12, %%ymm18, %%ymm20\n" \
    "vpunpckhdq %%ymm12, %%ymm18, %%ymm22\n" \
    "vmovq 2576(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm3, %%xmm4\n" \
    "vmovdqa32 %%ymm20, 3200(%[wk_next])\n" \
    "vpsrld $3, %%ymm24, %%ymm18\n" \
    "vmovdqa32 %%ymm22, 3232(%[wk_next])\n" \
    "vpaddd %%ymm21, %%ymm24, %%ymm12\n" \
    "vmovq 2584(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm5, %%xmm6\n" \
    "vpxord %%ymm18, %%ymm29, %%ymm20\n" \
    "vprord $7, %%ymm25, %%ymm22\n" \
    "vprord $18, %%ymm25, %%ymm24\n" \
    "vmovq 2608(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm7, %%xmm8\n" \
    "vpaddd %%ymm20, %%ymm31, %%ymm29\n" \
    "vpsrld $3, %%ymm25, %%ymm18\n" \
    "vpxord %%ymm24, %%ymm22, %%ymm31\n" \
    "vprord $17, %%ymm17, %%ymm20\n" \
    "vmovq 2616(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm9, %%xmm10\n" \
    "vpaddd %%ymm30, %%ymm25, %%ymm22\n" \
    "vpxord %%ymm18, %%ymm31, %%ymm24\n" \
    "vprord $19, %%ymm17, %%ymm25\n" \
    "vmovq 2664(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm2, %%xmm1\n" \
    "vpaddd %%ymm24, %%ymm12, %%ymm31\n" \
    "vpsrld $10, %%ymm17, %%ymm18\n" \
    "vpxord %%ymm25, %%ymm20, %%ymm12\n" \
    "vprord $17, %%ymm23, %%ymm24\n" \
    "vmovq 2640(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm4, %%xmm3\n" \
    "vpxord %%ymm18, %%ymm12, %%ymm20\n" \
    "vprord $19, %%ymm23, %%ymm25\n" \
    "vpaddd %%ymm20, %%ymm29, %%ymm12\n" \
    "vmovq 2648(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm6, %%xmm5\n" \
    "vpsrld $10, %%ymm23, %%ymm18\n" \
    "vpxord %%ymm25, %%ymm24, %%ymm29\n" \
    "vpaddd 152(%[k])%{1to8%}, %%ymm12, %%ymm20\n" \
    "vmovq 2672(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm8, %%xmm7\n" \
    "vpxord %%ymm18, %%ymm29, %%ymm24\n" \
    "vprord $7, %%ymm15, %%ymm25\n" \
    "vpaddd %%ymm24, %%ymm31, %%ymm29\n" \
    "vprord $18, %%ymm15, %%ymm18\n" \
    "vmovq 2680(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm10, %%xmm9\n" \
    "vpaddd 156(%[k])%{1to8%}, %%ymm29, %%ymm31\n" \
    "vpxord %%ymm18, %%ymm25, %%ymm24\n" \
    "vpunpckldq %%ymm31, %%ymm20, %%ymm25\n" \
    "vmovq 2728(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm1, %%xmm2\n" \
    "vpunpckhdq %%ymm31, %%ymm20, %%ymm18\n" \
    "vmovdqa32 %%ymm25, 3264(%[wk_next])\n" \
    "vpsrld $3, %%ymm15, %%ymm20\n" \
    "vmovdqa32 %%ymm18, 3296(%[wk_next])\n" \
    "vmovq 2704(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm3, %%xmm4\n" \
    "vpaddd %%ymm27, %%ymm15, %%ymm31\n" \
    "vpxord %%ymm20, %%ymm24, %%ymm25\n" \
    "vprord $7, %%ymm13, %%ymm18\n" \
    "vmovq 2712(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm5, %%xmm6\n" \
    "vprord $18, %%ymm13, %%ymm15\n" \
    "vpaddd %%ymm25, %%ymm22, %%ymm24\n" \
    "vpsrld $3, %%ymm13, %%ymm20\n" \
    "vpxord %%ymm15, %%ymm18, %%ymm22\n" \
    "vmovq 2736(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm7, %%xmm8\n" \
    "vprord $17, %%ymm12, %%ymm25\n" \
    "vpaddd %%ymm14, %%ymm13, %%ymm18\n" \
    "vpxord %%ymm20, %%ymm22, %%ymm15\n" \
    "vmovq 2744(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm9, %%xmm10\n" \
    "vprord $19, %%ymm12, %%ymm13\n" \
    "vpaddd %%ymm15, %%ymm31, %%ymm22\n" \
    "vpsrld $10, %%ymm12, %%ymm20\n" \
    "vpxord %%ymm13, %%ymm25, %%ymm31\n" \
    "vmovq 2792(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm2, %%xmm1\n" \
    "vprord $17, %%ymm29, %%ymm15\n" \
    "vpxord %%ymm20, %%ymm31, %%ymm25\n" \
    "vprord $19, %%ymm29, %%ymm13\n" \
    "vmovq 2768(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm4, %%xmm3\n" \
    "vpaddd %%ymm25, %%ymm24, %%ymm31\n" \
    "vpsrld $10, %%ymm29, %%ymm20\n" \
    "vpxord %%ymm13, %%ymm15, %%ymm24\n" \
    "vpaddd 160(%[k])%{1to8%}, %%ymm31, %%ymm25\n" \
    "vmovq 2776(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm6, %%xmm5\n" \
    "vpxord %%ymm20, %%ymm24, %%ymm15\n" \
    "vprord $7, %%ymm19, %%ymm13\n" \
    "vpaddd %%ymm15, %%ymm22, %%ymm24\n" \
    "vmovq 2800(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm8, %%xmm7\n" \
    "vprord $18, %%ymm19, %%ymm20\n" \
    "vpaddd 164(%[k])%{1to8%}, %%ymm24, %%ymm22\n" \
    "vpxord %%ymm20, %%ymm13, %%ymm15\n" \
    "vpunpckldq %%ymm22, %%ymm25, %%ymm13\n" \
    "vmovq 2808(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm10, %%xmm9\n" \
    "vpunpckhdq %%ymm22, %%ymm25, %%ymm20\n" \
    "vmovdqa %%ymm13, 3328(%[wk_next])\n" \
    "vpsrld $3, %%ymm19, %%ymm25\n" \
    "vmovq 2856(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm1, %%xmm2\n" \
    "vmovdqa32 %%ymm20, 3360(%[wk_next])\n" \
    "vpaddd %%ymm17, %%ymm19, %%ymm22\n" \
    "vpxord %%ymm25, %%ymm15, %%ymm13\n" \
    "vprord $7, %%ymm16, %%ymm20\n" \
    "vmovq 2832(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm3, %%xmm4\n" \
    "vprord $18, %%ymm16, %%ymm19\n" \
    "vpaddd %%ymm13, %%ymm18, %%ymm15\n" \
    "vpsrld $3, %%ymm16, %%ymm25\n" \
    "vmovq 2840(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm5, %%xmm6\n" \
    "vpxord %%ymm19, %%ymm20, %%ymm18\n" \
    "vprord $17, %%ymm31, %%ymm13\n" \
    "vpaddd %%ymm23, %%ymm16, %%ymm20\n" \
    "vpxord %%ymm25, %%ymm18, %%ymm19\n" \
    "vmovq 2864(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm7, %%xmm8\n" \
    "vprord $19, %%ymm31, %%ymm16\n" \
    "vpaddd %%ymm19, %%ymm22, %%ymm18\n" \
    "vpsrld $10, %%ymm31, %%ymm25\n" \
    "vmovq 2872(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm9, %%xmm10\n" \
    "vpxord %%ymm16, %%ymm13, %%ymm22\n" \
    "vprord $17, %%ymm24, %%ymm19\n" \
    "vpxord %%ymm25, %%ymm22, %%ymm13\n" \
    "vprord $19, %%ymm24, %%ymm16\n" \
    "vmovq 2920(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm2, %%xmm1\n" \
    "vpaddd %%ymm13, %%ymm15, %%ymm22\n" \
    "vpsrld $10, %%ymm24, %%ymm25\n" \
    "vpxord %%ymm16, %%ymm19, %%ymm15\n" \
    "vmovq 2896(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm4, %%xmm3\n" \
    "vpaddd 168(%[k])%{1to8%}, %%ymm22, %%ymm13\n" \
    "vpxord %%ymm25, %%ymm15, %%ymm19\n" \
    "vprord $7, %%ymm28, %%ymm16\n" \
    "vpaddd %%ymm19, %%ymm18, %%ymm15\n" \
    "vmovq 2904(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm6, %%xmm5\n" \
    "vprord $18, %%ymm28, %%ymm25\n" \
    "vpaddd 172(%[k])%{1to8%}, %%ymm15, %%ymm18\n" \
    "vpxord %%ymm25, %%ymm16, %%ymm19\n" \
    "vmovq 2928(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm8, %%xmm7\n" \
    "vpunpckldq %%ymm18, %%ymm13, %%ymm16\n" \
    "vpunpckhdq %%ymm18, %%ymm13, %%ymm25\n" \
    "vmovdqa32 %%ymm16, 3392(%[wk_next])\n" \
    "vpsrld $3, %%ymm28, %%ymm13\n" \
    "vmovq 2936(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm10, %%xmm9\n" \
    "vmovdqa32 %%ymm25, 3424(%[wk_next])\n" \
    "vpaddd %%ymm12, %%ymm28, %%ymm18\n" \
    "vpxord %%ymm13, %%ymm19, %%ymm16\n" \
    "vmovq 2984(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm1, %%xmm2\n" \
    "vprord $7, %%ymm11, %%ymm25\n" \
    "vprord $18, %%ymm11, %%ymm28\n" \
    "vpaddd %%ymm16, %%ymm20, %%ymm19\n" \
    "vpsrld $3, %%ymm11, %%ymm13\n" \
    "vmovq 2960(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm3, %%xmm4\n" \
    "vpxord %%ymm28, %%ymm25, %%ymm20\n" \
    "vprord $17, %%ymm22, %%ymm16\n" \
    "vpaddd %%ymm29, %%ymm11, %%ymm25\n" \
    "vmovq 2968(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm5, %%xmm6\n" \
    "vpxord %%ymm13, %%ymm20, %%ymm28\n" \
    "vprord $19, %%ymm22, %%ymm11\n" \
    "vpaddd %%ymm28, %%ymm18, %%ymm20\n" \
    "vpsrld $10, %%ymm22, %%ymm13\n" \
    "vmovq 2992(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm7, %%xmm8\n" \
    "vpxord %%ymm11, %%ymm16, %%ymm18\n" \
    "vprord $17, %%ymm15, %%ymm28\n" \
    "vpxord %%ymm13, %%ymm18, %%ymm16\n" \
    "vmovq 3000(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm9, %%xmm10\n" \
    "vprord $19, %%ymm15, %%ymm11\n" \
    "vpaddd %%ymm16, %%ymm19, %%ymm18\n" \
    "vpsrld $10, %%ymm15, %%ymm13\n" \
    "vmovq 3048(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm2, %%xmm1\n" \
    "vpxord %%ymm11, %%ymm28, %%ymm19\n" \
    "vpaddd 176(%[k])%{1to8%}, %%ymm18, %%ymm16\n" \
    "vpxord %%ymm13, %%ymm19, %%ymm28\n" \
    "vprord $7, %%ymm26, %%ymm11\n" \
    "vmovq 3024(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm4, %%xmm3\n" \
    "vpaddd %%ymm28, %%ymm20, %%ymm19\n" \
    "vprord $18, %%ymm26, %%ymm13\n" \
    "vpaddd 180(%[k])%{1to8%}, %%ymm19, %%ymm20\n" \
    "vmovq 3032(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm6, %%xmm5\n" \
    "vpxord %%ymm13, %%ymm11, %%ymm28\n" \
    "vpunpckldq %%ymm20, %%ymm16, %%ymm11\n" \
    "vpunpckhdq %%ymm20, %%ymm16, %%ymm13\n" \
    "vmovdqa %%ymm11, 3456(%[wk_next])\n" \
    "vmovq 3056(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm8, %%xmm7\n" \
    "vpsrld $3, %%ymm26, %%ymm16\n" \
    "vmovdqa %%ymm13, 3488(%[wk_next])\n" \
    "vpaddd %%ymm31, %%ymm26, %%ymm20\n" \
    "vmovq 3064(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm10, %%xmm9\n" \
    "vpxord %%ymm16, %%ymm28, %%ymm11\n" \
    "vprord $7, %%ymm21, %%ymm13\n" \
    "vprord $18, %%ymm21, %%ymm26\n" \
    "vpaddd %%ymm11, %%ymm25, %%ymm28\n" \
    "vmovq 3112(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm1, %%xmm2\n" \
    "vpsrld $3, %%ymm21, %%ymm16\n" \
    "vpxord %%ymm26, %%ymm13, %%ymm25\n" \
    "vprord $17, %%ymm18, %%ymm11\n" \
    "vmovq 3088(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm3, %%xmm4\n" \
    "vpaddd %%ymm24, %%ymm21, %%ymm13\n" \
    "vpxord %%ymm16, %%ymm25, %%ymm26\n" \
    "vprord $19, %%ymm18, %%ymm21\n" \
    "vpaddd %%ymm26, %%ymm20, %%ymm25\n" \
    "vmovq 3096(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm5, %%xmm6\n" \
    "vpsrld $10, %%ymm18, %%ymm16\n" \
    "vpxord %%ymm21, %%ymm11, %%ymm20\n" \
    "vprord $17, %%ymm19, %%ymm26\n" \
    "vmovq 3120(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm7, %%xmm8\n" \
    "vpxord %%ymm16, %%ymm20, %%ymm11\n" \
    "vprord $19, %%ymm19, %%ymm21\n" \
    "vpaddd %%ymm11, %%ymm28, %%ymm20\n" \
    "vpsrld $10, %%ymm19, %%ymm16\n" \
    "vmovq 3128(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm9, %%xmm10\n" \
    "vpxord %%ymm21, %%ymm26, %%ymm28\n" \
    "vpaddd 184(%[k])%{1to8%}, %%ymm20, %%ymm11\n" \
    "vpxord %%ymm16, %%ymm28, %%ymm26\n" \
    "vmovq 3176(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm2, %%xmm1\n" \
    "vprord $7, %%ymm30, %%ymm21\n" \
    "vpaddd %%ymm26, %%ymm25, %%ymm28\n" \
    "vprord $18, %%ymm30, %%ymm16\n" \
    "vpaddd 188(%[k])%{1to8%}, %%ymm28, %%ymm25\n" \
    "vmovq 3152(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm4, %%xmm3\n" \
    "vpxord %%ymm16, %%ymm21, %%ymm26\n" \
    "vpunpckldq %%ymm25, %%ymm11, %%ymm21\n" \
    "vpunpckhdq %%ymm25, %%ymm11, %%ymm16\n" \
    "vmovq 3160(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm6, %%xmm5\n" \
    "vmovdqa32 %%ymm21, 3520(%[wk_next])\n" \
    "vpsrld $3, %%ymm30, %%ymm11\n" \
    "vmovdqa32 %%ymm16, 3552(%[wk_next])\n" \
    "vpaddd %%ymm22, %%ymm30, %%ymm25\n" \
    "vmovq 3184(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm8, %%xmm7\n" \
    "vpxord %%ymm11, %%ymm26, %%ymm21\n" \
    "vprord $7, %%ymm27, %%ymm16\n" \
    "vprord $18, %%ymm27, %%ymm30\n" \
    "vmovq 3192(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm10, %%xmm9\n" \
    "vpaddd %%ymm21, %%ymm13, %%ymm26\n" \
    "vpsrld $3, %%ymm27, %%ymm11\n" \
    "vpxord %%ymm30, %%ymm16, %%ymm13\n" \
    "vprord $17, %%ymm20, %%ymm21\n" \
    "vmovq 3240(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm1, %%xmm2\n" \
    "vpaddd %%ymm15, %%ymm27, %%ymm16\n" \
    "vpxord %%ymm11, %%ymm13, %%ymm30\n" \
    "vprord $19, %%ymm20, %%ymm27\n" \
    "vmovq 3216(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm3, %%xmm4\n" \
    "vpaddd %%ymm30, %%ymm25, %%ymm13\n" \
    "vpsrld $10, %%ymm20, %%ymm11\n" \
    "vpxord %%ymm27, %%ymm21, %%ymm25\n" \
    "vprord $17, %%ymm28, %%ymm30\n" \
    "vmovq 3224(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm5, %%xmm6\n" \
    "vpxord %%ymm11, %%ymm25, %%ymm21\n" \
    "vprord $19, %%ymm28, %%ymm27\n" \
    "vpaddd %%ymm21, %%ymm26, %%ymm25\n" \
    "vmovq 3248(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm7, %%xmm8\n" \
    "vpsrld $10, %%ymm28, %%ymm11\n" \
    "vpxord %%ymm27, %%ymm30, %%ymm26\n" \
    "vpaddd 192(%[k])%{1to8%}, %%ymm25, %%ymm21\n" \
    "vpxord %%ymm11, %%ymm26, %%ymm30\n" \
    "vmovq 3256(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm9, %%xmm10\n" \
    "vprord $7, %%ymm14, %%ymm27\n" \
    "vpaddd %%ymm30, %%ymm13, %%ymm26\n" \
    "vprord $18, %%ymm14, %%ymm11\n" \
    "vmovq 3304(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm2, %%xmm1\n" \
    "vpaddd 196(%[k])%{1to8%}, %%ymm26, %%ymm13\n" \
    "vpxord %%ymm11, %%ymm27, %%ymm30\n" \
    "vpunpckldq %%ymm13, %%ymm21, %%ymm27\n" \
    "vpunpckhdq %%ymm13, %%ymm21, %%ymm11\n" \
    "vmovq 3280(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm4, %%xmm3\n" \
    "vmovdqa32 %%ymm27, 3584(%[wk_next])\n" \
    "vpsrld $3, %%ymm14, %%ymm21\n" \
    "vmovdqa %%ymm11, 3616(%[wk_next])\n" \
    "vmovq 3288(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm6, %%xmm5\n" \
    "vpaddd %%ymm18, %%ymm14, %%ymm13\n" \
    "vpxord %%ymm21, %%ymm30, %%ymm27\n" \
    "vprord $7, %%ymm17, %%ymm11\n" \
    "vprord $18, %%ymm17, %%ymm14\n" \
    "vmovq 3312(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm8, %%xmm7\n" \
    "vpaddd %%ymm27, %%ymm16, %%ymm30\n" \
    "vpsrld $3, %%ymm17, %%ymm21\n" \
    "vpxord %%ymm14, %%ymm11, %%ymm16\n" \
    "vmovq 3320(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm10, %%xmm9\n" \
    "vprord $17, %%ymm25, %%ymm27\n" \
    "vpaddd %%ymm19, %%ymm17, %%ymm11\n" \
    "vpxord %%ymm21, %%ymm16, %%ymm14\n" \
    "vprord $19, %%ymm25, %%ymm17\n" \
    "vmovq 3368(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm1, %%xmm2\n" \
    "vpaddd %%ymm14, %%ymm13, %%ymm16\n" \
    "vpsrld $10, %%ymm25, %%ymm21\n" \
    "vpxord %%ymm17, %%ymm27, %%ymm13\n" \
    "vmovq 3344(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm3, %%xmm4\n" \
    "vprord $17, %%ymm26, %%ymm14\n" \
    "vpxord %%ymm21, %%ymm13, %%ymm27\n" \
    "vprord $19, %%ymm26, %%ymm17\n" \
    "vpaddd %%ymm27, %%ymm30, %%ymm13\n" \
    "vmovq 3352(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm5, %%xmm6\n" \
    "vpsrld $10, %%ymm26, %%ymm21\n" \
    "vpxord %%ymm17, %%ymm14, %%ymm30\n" \
    "vpaddd 200(%[k])%{1to8%}, %%ymm13, %%ymm27\n" \
    "vmovq 3376(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm7, %%xmm8\n" \
    "vpxord %%ymm21, %%ymm30, %%ymm14\n" \
    "vprord $7, %%ymm23, %%ymm17\n" \
    "vpaddd %%ymm14, %%ymm16, %%ymm30\n" \
    "vmovq 3384(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm9, %%xmm10\n" \
    "vprord $18, %%ymm23, %%ymm21\n" \
    "vpaddd 204(%[k])%{1to8%}, %%ymm30, %%ymm16\n" \
    "vpxord %%ymm21, %%ymm17, %%ymm14\n" \
    "vpunpckldq %%ymm16, %%ymm27, %%ymm17\n" \
    "vmovq 3432(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm2, %%xmm1\n" \
    "vpunpckhdq %%ymm16, %%ymm27, %%ymm21\n" \
    "vmovdqa32 %%ymm17, 3648(%[wk_next])\n" \
    "vpsrld $3, %%ymm23, %%ymm27\n" \
    "vmovq 3408(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm4, %%xmm3\n" \
    "vmovdqa32 %%ymm21, 3680(%[wk_next])\n" \
    "vpaddd %%ymm20, %%ymm23, %%ymm16\n" \
    "vpxord %%ymm27, %%ymm14, %%ymm17\n" \
    "vprord $7, %%ymm12, %%ymm21\n" \
    "vmovq 3416(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm6, %%xmm5\n" \
    "vprord $18, %%ymm12, %%ymm23\n" \
    "vpaddd %%ymm17, %%ymm11, %%ymm14\n" \
    "vpsrld $3, %%ymm12, %%ymm27\n" \
    "vmovq 3440(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm8, %%xmm7\n" \
    "vpxord %%ymm23, %%ymm21, %%ymm11\n" \
    "vprord $17, %%ymm13, %%ymm17\n" \
    "vpaddd %%ymm28, %%ymm12, %%ymm21\n" \
    "vpxord %%ymm27, %%ymm11, %%ymm23\n" \
    "vmovq 3448(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm10, %%xmm9\n" \
    "vprord $19, %%ymm13, %%ymm12\n" \
    "vpaddd %%ymm23, %%ymm16, %%ymm11\n" \
    "vpsrld $10, %%ymm13, %%ymm27\n" \
    "vmovq 3496(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm1, %%xmm2\n" \
    "vpxord %%ymm12, %%ymm17, %%ymm16\n" \
    "vprord $17, %%ymm30, %%ymm23\n" \
    "vpxord %%ymm27, %%ymm16, %%ymm17\n" \
    "vprord $19, %%ymm30, %%ymm12\n" \
    "vmovq 3472(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm3, %%xmm4\n" \
    "vpaddd %%ymm17, %%ymm14, %%ymm16\n" \
    "vpsrld $10, %%ymm30, %%ymm27\n" \
    "vpxord %%ymm12, %%ymm23, %%ymm14\n" \
    "vmovq 3480(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm5, %%xmm6\n" \
    "vpaddd 208(%[k])%{1to8%}, %%ymm16, %%ymm17\n" \
    "vpxord %%ymm27, %%ymm14, %%ymm23\n" \
    "vprord $7, %%ymm29, %%ymm12\n" \
    "vpaddd %%ymm23, %%ymm11, %%ymm14\n" \
    "vmovq 3504(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm7, %%xmm8\n" \
    "vprord $18, %%ymm29, %%ymm27\n" \
    "vpaddd 212(%[k])%{1to8%}, %%ymm14, %%ymm11\n" \
    "vpxord %%ymm27, %%ymm12, %%ymm23\n" \
    "vmovq 3512(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm9, %%xmm10\n" \
    "vpunpckldq %%ymm11, %%ymm17, %%ymm12\n" \
    "vpunpckhdq %%ymm11, %%ymm17, %%ymm27\n" \
    "vmovdqa %%ymm12, 3712(%[wk_next])\n" \
    "vpsrld $3, %%ymm29, %%ymm17\n" \
    "vmovq 3560(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm2, %%xmm1\n" \
    "vmovdqa32 %%ymm27, 3744(%[wk_next])\n" \
    "vpaddd %%ymm25, %%ymm29, %%ymm11\n" \
    "vpxord %%ymm17, %%ymm23, %%ymm12\n" \
    "vmovq 3536(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm4, %%xmm3\n" \
    "vprord $7, %%ymm31, %%ymm27\n" \
    "vprord $18, %%ymm31, %%ymm29\n" \
    "vpaddd %%ymm12, %%ymm21, %%ymm23\n" \
    "vpsrld $3, %%ymm31, %%ymm17\n" \
    "vmovq 3544(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm6, %%xmm5\n" \
    "vpxord %%ymm29, %%ymm27, %%ymm21\n" \
    "vprord $17, %%ymm16, %%ymm12\n" \
    "vpaddd %%ymm26, %%ymm31, %%ymm27\n" \
    "vmovq 3568(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm8, %%xmm7\n" \
    "vpxord %%ymm17, %%ymm21, %%ymm29\n" \
    "vprord $19, %%ymm16, %%ymm31\n" \
    "vpsrld $10, %%ymm16, %%ymm26\n" \
    "vpaddd %%ymm29, %%ymm11, %%ymm21\n" \
    "vmovq 3576(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm10, %%xmm9\n" \
    "vpxord %%ymm31, %%ymm12, %%ymm17\n" \
    "vprord $17, %%ymm14, %%ymm11\n" \
    "vprord $19, %%ymm14, %%ymm29\n" \
    "vmovq 3624(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm1, %%xmm2\n" \
    "vpxord %%ymm26, %%ymm17, %%ymm12\n" \
    "vpsrld $10, %%ymm14, %%ymm31\n" \
    "vpxord %%ymm29, %%ymm11, %%ymm17\n" \
    "vpaddd %%ymm12, %%ymm23, %%ymm26\n" \
    "vmovq 3600(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm3, %%xmm4\n" \
    "vprord $7, %%ymm24, %%ymm11\n" \
    "vpxord %%ymm31, %%ymm17, %%ymm29\n" \
    "vpaddd 216(%[k])%{1to8%}, %%ymm26, %%ymm23\n" \
    "vmovq 3608(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm5, %%xmm6\n" \
    "vprord $18, %%ymm24, %%ymm12\n" \
    "vpaddd %%ymm29, %%ymm21, %%ymm17\n" \
    "vpsrld $3, %%ymm24, %%ymm31\n" \
    "vpxord %%ymm12, %%ymm11, %%ymm21\n" \
    "vmovq 3632(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm7, %%xmm8\n" \
    "vpaddd 220(%[k])%{1to8%}, %%ymm17, %%ymm29\n" \
    "vpaddd %%ymm13, %%ymm24, %%ymm11\n" \
    "vpxord %%ymm31, %%ymm21, %%ymm12\n" \
    "vmovq 3640(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm9, %%xmm10\n" \
    "vpunpckldq %%ymm29, %%ymm23, %%ymm24\n" \
    "vpunpckhdq %%ymm29, %%ymm23, %%ymm13\n" \
    "vpaddd %%ymm12, %%ymm27, %%ymm21\n" \
    "vmovdqa32 %%ymm24, 3776(%[wk_next])\n" \
    "vmovq 3688(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm2, %%xmm1\n" \
    "vmovdqa %%ymm13, 3808(%[wk_next])\n" \
    "vprord $7, %%ymm22, %%ymm31\n" \
    "vprord $18, %%ymm22, %%ymm23\n" \
    "vmovq 3664(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm4, %%xmm3\n" \
    "vpsrld $3, %%ymm22, %%ymm29\n" \
    "vprord $17, %%ymm26, %%ymm27\n" \
    "vpxord %%ymm23, %%ymm31, %%ymm12\n" \
    "vprord $19, %%ymm26, %%ymm24\n" \
    "vmovq 3672(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm6, %%xmm5\n" \
    "vpsrld $10, %%ymm26, %%ymm13\n" \
    "vpxord %%ymm29, %%ymm12, %%ymm31\n" \
    "vpxord %%ymm24, %%ymm27, %%ymm23\n" \
    "vmovq 3696(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm8, %%xmm7\n" \
    "vprord $17, %%ymm17, %%ymm12\n" \
    "vpaddd %%ymm31, %%ymm11, %%ymm29\n" \
    "vpxord %%ymm13, %%ymm23, %%ymm27\n" \
    "vprord $19, %%ymm17, %%ymm24\n" \
    "vmovq 3704(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm10, %%xmm9\n" \
    "vpsrld $10, %%ymm17, %%ymm11\n" \
    "vpaddd %%ymm27, %%ymm21, %%ymm31\n" \
    "vpxord %%ymm24, %%ymm12, %%ymm23\n" \
    "vmovq 3752(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm1, %%xmm2\n" \
    "vpaddd %%ymm30, %%ymm22, %%ymm13\n" \
    "vpaddd 224(%[k])%{1to8%}, %%ymm31, %%ymm21\n" \
    "vpxord %%ymm11, %%ymm23, %%ymm27\n" \
    "vprord $7, %%ymm15, %%ymm12\n" \
    "vmovq 3728(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm3, %%xmm4\n" \
    "vprord $18, %%ymm15, %%ymm24\n" \
    "vpaddd %%ymm27, %%ymm29, %%ymm22\n" \
    "vpsrld $3, %%ymm15, %%ymm30\n" \
    "vmovq 3736(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm5, %%xmm6\n" \
    "vpxord %%ymm24, %%ymm12, %%ymm23\n" \
    "vpaddd 228(%[k])%{1to8%}, %%ymm22, %%ymm11\n" \
    "vpaddd %%ymm16, %%ymm15, %%ymm29\n" \
    "vmovq 3760(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm7, %%xmm8\n" \
    "vpxord %%ymm30, %%ymm23, %%ymm27\n" \
    "vpunpckldq %%ymm11, %%ymm21, %%ymm12\n" \
    "vpunpckhdq %%ymm11, %%ymm21, %%ymm24\n" \
    "vpaddd %%ymm27, %%ymm13, %%ymm15\n" \
    "vmovq 3768(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm9, %%xmm10\n" \
    "vmovdqa %%ymm12, 3840(%[wk_next])\n" \
    "vmovdqa32 %%ymm24, 3872(%[wk_next])\n" \
    "vprord $7, %%ymm18, %%ymm16\n" \
    "vmovq 3816(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm2, %%xmm1\n" \
    "vprord $18, %%ymm18, %%ymm23\n" \
    "vpsrld $3, %%ymm18, %%ymm30\n" \
    "vprord $17, %%ymm31, %%ymm21\n" \
    "vpxord %%ymm23, %%ymm16, %%ymm11\n" \
    "vmovq 3792(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm4, %%xmm3\n" \
    "vprord $19, %%ymm31, %%ymm13\n" \
    "vpsrld $10, %%ymm31, %%ymm27\n" \
    "vpxord %%ymm30, %%ymm11, %%ymm12\n" \
    "vmovq 3800(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm6, %%xmm5\n" \
    "vpxord %%ymm13, %%ymm21, %%ymm24\n" \
    "vprord $17, %%ymm22, %%ymm16\n" \
    "vpaddd %%ymm12, %%ymm29, %%ymm23\n" \
    "vpxord %%ymm27, %%ymm24, %%ymm11\n" \
    "vmovq 3824(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm8, %%xmm7\n" \
    "vprord $19, %%ymm22, %%ymm30\n" \
    "vpsrld $10, %%ymm22, %%ymm21\n" \
    "vpaddd %%ymm11, %%ymm15, %%ymm13\n" \
    "vmovq 3832(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm10, %%xmm9\n" \
    "vpxord %%ymm30, %%ymm16, %%ymm29\n" \
    "vpaddd %%ymm14, %%ymm18, %%ymm12\n" \
    "vpaddd 232(%[k])%{1to8%}, %%ymm13, %%ymm24\n" \
    "vpxord %%ymm21, %%ymm29, %%ymm27\n" \
    "vmovq 3880(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm1, %%xmm2\n" \
    "vprord $7, %%ymm19, %%ymm22\n" \
    "vprord $18, %%ymm19, %%ymm15\n" \
    "vpaddd %%ymm27, %%ymm23, %%ymm11\n" \
    "vmovq 3856(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm3, %%xmm4\n" \
    "vpsrld $3, %%ymm19, %%ymm16\n" \
    "vpxord %%ymm15, %%ymm22, %%ymm30\n" \
    "vpaddd 236(%[k])%{1to8%}, %%ymm11, %%ymm18\n" \
    "vpaddd %%ymm26, %%ymm19, %%ymm14\n" \
    "vmovq 3864(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm5, %%xmm6\n" \
    "vpxord %%ymm16, %%ymm30, %%ymm29\n" \
    "vpunpckldq %%ymm18, %%ymm24, %%ymm21\n" \
    "vpunpckhdq %%ymm18, %%ymm24, %%ymm23\n" \
    "vmovq 3888(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm7, %%xmm8\n" \
    "vpaddd %%ymm29, %%ymm12, %%ymm27\n" \
    "vmovdqa32 %%ymm21, 3904(%[wk_next])\n" \
    "vmovdqa32 %%ymm23, 3936(%[wk_next])\n" \
    "vprord $7, %%ymm20, %%ymm22\n" \
    "vmovq 3896(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm9, %%xmm10\n" \
    "vprord $18, %%ymm20, %%ymm15\n" \
    "vpsrld $3, %%ymm20, %%ymm19\n" \
    "vprord $17, %%ymm13, %%ymm26\n" \
    "vmovq 3944(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm2, %%xmm1\n" \
    "vpxord %%ymm15, %%ymm22, %%ymm30\n" \
    "vprord $19, %%ymm13, %%ymm16\n" \
    "vpsrld $10, %%ymm13, %%ymm24\n" \
    "vpxord %%ymm19, %%ymm30, %%ymm18\n" \
    "vmovq 3920(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm4, %%xmm3\n" \
    "vpxord %%ymm16, %%ymm26, %%ymm12\n" \
    "vprord $17, %%ymm11, %%ymm29\n" \
    "vpaddd %%ymm18, %%ymm14, %%ymm21\n" \
    "vmovq 3928(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm6, %%xmm5\n" \
    "vpxord %%ymm24, %%ymm12, %%ymm23\n" \
    "vprord $19, %%ymm11, %%ymm22\n" \
    "vpsrld $10, %%ymm11, %%ymm15\n" \
    "vpaddd %%ymm23, %%ymm27, %%ymm13\n" \
    "vmovq 3952(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm8, %%xmm7\n" \
    "vpxord %%ymm22, %%ymm29, %%ymm30\n" \
    "vpaddd %%ymm17, %%ymm20, %%ymm19\n" \
    "vpaddd 240(%[k])%{1to8%}, %%ymm13, %%ymm26\n" \
    "vmovq 3960(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm10, %%xmm9\n" \
    "vpxord %%ymm15, %%ymm30, %%ymm16\n" \
    "vprord $7, %%ymm28, %%ymm14\n" \
    "vprord $18, %%ymm28, %%ymm18\n" \
    "vpaddd %%ymm16, %%ymm21, %%ymm12\n" \
    "vmovq 4008(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm1, %%xmm2\n" \
    "vpsrld $3, %%ymm28, %%ymm24\n" \
    "vpxord %%ymm18, %%ymm14, %%ymm11\n" \
    "vpaddd 244(%[k])%{1to8%}, %%ymm12, %%ymm27\n" \
    "vmovq 3984(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm3, %%xmm4\n" \
    "vpaddd %%ymm31, %%ymm28, %%ymm23\n" \
    "vpxord %%ymm24, %%ymm11, %%ymm29\n" \
    "vpunpckldq %%ymm27, %%ymm26, %%ymm22\n" \
    "vpunpckhdq %%ymm27, %%ymm26, %%ymm20\n" \
    "vmovq 3992(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm5, %%xmm6\n" \
    "vpaddd %%ymm29, %%ymm19, %%ymm17\n" \
    "vmovdqa32 %%ymm22, 3968(%[wk_next])\n" \
    "vmovdqa32 %%ymm20, 4000(%[wk_next])\n" \
    "vmovq 4016(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm7, %%xmm8\n" \
    "vprord $7, %%ymm25, %%ymm30\n" \
    "vprord $18, %%ymm25, %%ymm15\n" \
    "vpsrld $3, %%ymm25, %%ymm21\n" \
    "vprord $17, %%ymm13, %%ymm16\n" \
    "vmovq 4024(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm9, %%xmm10\n" \
    "vpxord %%ymm15, %%ymm30, %%ymm14\n" \
    "vprord $19, %%ymm13, %%ymm18\n" \
    "vpsrld $10, %%ymm13, %%ymm28\n" \
    "vmovq 4072(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm2, %%xmm1\n" \
    "vpxord %%ymm21, %%ymm14, %%ymm31\n" \
    "vpxord %%ymm18, %%ymm16, %%ymm11\n" \
    "vprord $17, %%ymm12, %%ymm24\n" \
    "vpaddd %%ymm31, %%ymm23, %%ymm26\n" \
    "vmovq 4048(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm4, %%xmm3\n" \
    "vpxord %%ymm28, %%ymm11, %%ymm27\n" \
    "vprord $19, %%ymm12, %%ymm19\n" \
    "vpsrld $10, %%ymm12, %%ymm29\n" \
    "vmovq 4056(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm6, %%xmm5\n" \
    "vpaddd %%ymm27, %%ymm17, %%ymm22\n" \
    "vpxord %%ymm19, %%ymm24, %%ymm20\n" \
    "vpaddd 248(%[k])%{1to8%}, %%ymm22, %%ymm25\n" \
    "vpxord %%ymm29, %%ymm20, %%ymm30\n" \
    "vmovq 4080(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm8, %%xmm7\n" \
    "vpaddd %%ymm30, %%ymm26, %%ymm15\n" \
    "vpaddd 252(%[k])%{1to8%}, %%ymm15, %%ymm13\n" \
    "vpunpckldq %%ymm13, %%ymm25, %%ymm14\n" \
    "vmovq 4088(%[wk_now]), %%xmm0\n" \
    "sha256rnds2 %%xmm10, %%xmm9\n" \
    "vpunpckhdq %%ymm13, %%ymm25, %%ymm21\n" \
    "vmovdqa %%ymm14, 4032(%[wk_next])\n" \
    "vmovdqa32 %%ymm21, 4064(%[wk_next])\n" \
    "vpaddd 352(%[state]), %%xmm1, %%xmm1\n" \
    "vmovdqa %%xmm1, 352(%[state])\n" \
    "vpaddd 368(%[state]), %%xmm2, %%xmm2\n" \
    "vmovdqa %%xmm2, 368(%[state])\n" \
    "vpaddd 384(%[state]), %%xmm3, %%xmm3\n" \
    "vmovdqa %%xmm3, 384(%[state])\n" \
    "vpaddd 400(%[state]), %%xmm4, %%xmm4\n" \
    "vmovdqa %%xmm4, 400(%[state])\n" \
    "vpaddd 416(%[state]), %%xmm5, %%xmm5\n" \
    "vmovdqa %%xmm5, 416(%[state])\n" \
    "vpaddd 432(%[state]), %%xmm6, %%xmm6\n" \
    "vmovdqa %%xmm6, 432(%[state])\n" \
    "vpaddd 448(%[state]), %%xmm7, %%xmm7\n" \
    "vmovdqa %%xmm7, 448(%[state])\n" \
    "vpaddd 464(%[state]), %%xmm8, %%xmm8\n" \
    "vmovdqa %%xmm8, 464(%[state])\n" \
    "vpaddd 480(%[state]), %%xmm9, %%xmm9\n" \
    "vmovdqa %%xmm9, 480(%[state])\n" \
    "vpaddd 496(%[state]), %%xmm10, %%xmm10\n" \
    "vmovdqa %%xmm10, 496(%[state])\n" \
    "vzeroupper\n"
