/* OpenSSL's functions as libstrake-curl.so calls them: each goes on to the real one by its slot. An
 * empty slot has all of them filled first (tls_load.c), so that OpenSSL is loaded by the first thing
 * that needs it, and never for plain http. Arguments pass through untouched, however many. */
#define LAZY(name) lazy name;

        .set    index, 0

        .macro  lazy name
        .globl  \name
        .type   \name, @function
\name:
        endbr64
        movq    strake_tls_slots + 8 * index(%rip), %r11
        testq   %r11, %r11
        jz      1f
        jmp     *%r11
1:      leaq    strake_tls_slots + 8 * index(%rip), %r11
        jmp     fill
        .size   \name, . - \name
        .set    index, index + 1
        .endm

        .text
        .type   fill, @function
/* r11: the slot. All registers that may hold an argument are kept. */
fill:
        pushq   %rbp
        movq    %rsp, %rbp
        pushq   %rax
        pushq   %rdi
        pushq   %rsi
        pushq   %rdx
        pushq   %rcx
        pushq   %r8
        pushq   %r9
        pushq   %r11
        subq    $128, %rsp
        movups  %xmm0, 0(%rsp)
        movups  %xmm1, 16(%rsp)
        movups  %xmm2, 32(%rsp)
        movups  %xmm3, 48(%rsp)
        movups  %xmm4, 64(%rsp)
        movups  %xmm5, 80(%rsp)
        movups  %xmm6, 96(%rsp)
        movups  %xmm7, 112(%rsp)
        call    strake_tls_load
        movups  0(%rsp), %xmm0
        movups  16(%rsp), %xmm1
        movups  32(%rsp), %xmm2
        movups  48(%rsp), %xmm3
        movups  64(%rsp), %xmm4
        movups  80(%rsp), %xmm5
        movups  96(%rsp), %xmm6
        movups  112(%rsp), %xmm7
        addq    $128, %rsp
        popq    %r11
        popq    %r9
        popq    %r8
        popq    %rcx
        popq    %rdx
        popq    %rsi
        popq    %rdi
        popq    %rax
        popq    %rbp
        jmp     *(%r11)
        .size   fill, . - fill

#include "tls_names.h"

        .bss
        .balign 8
        .globl  strake_tls_slots
        .hidden strake_tls_slots
        .type   strake_tls_slots, @object
strake_tls_slots:
        .zero   8 * index
        .size   strake_tls_slots, 8 * index

        .section .note.GNU-stack, "", @progbits
